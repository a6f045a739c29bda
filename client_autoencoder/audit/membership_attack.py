"""An attacker who finds out whether a classifier has learned a latent, from its probabilities.

The attacker has latents with their labels, and asks for each. A latent that was learned gets a
higher probability of its label, most of all where that label is odd. The threshold is that of Yeom
et al., "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting" (CSF 2018); the
likelihood ratio that of Carlini et al., "Membership Inference Attacks From First Principles" (S&P
2022). Success is a lower bound on what answers give away: another attacker may do better.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEAST_PROBABILITY = 1e-30
_LEAST_SPREAD = 0.1


def score_confidence(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> Floats:
    """Return the log-odds [N] of the labels ``targets`` [N] under probabilities [N, P].

    Their order is that of the loss. The odds are against the sum of all other labels, whose small
    numbers keep what rounding takes from one close to 1.
    """
    chances = probabilities.astype(np.float64)
    rows = np.arange(len(targets))
    own = chances[rows, targets]
    chances[rows, targets] = 0.0
    others = chances.sum(axis=1)
    odds: Floats = np.log(own + _LEAST_PROBABILITY) - np.log(others + _LEAST_PROBABILITY)
    return odds


def score_likelihood(confidence: Floats, shadows: Floats, learned: Flags) -> Floats:
    """Return the log-likelihood ratios [N] of having been learned and of not.

    Args:
        confidence: of the attacked classifier in N latents.
        shadows: of classifiers [K, N] that the attacker has trained on random halves of them.
        learned: whether a shadow [K, N] has learned a latent; each by some shadows, none by all.
    """
    inside = _log_density(confidence, shadows, learned)
    return inside - _log_density(confidence, shadows, ~learned)


def _log_density(confidence: Floats, shadows: Floats, chosen: Flags) -> Floats:
    """Return the log-density [N] under the normal distribution of the chosen shadows.

    Each latent has a mean of its own, and all have one spread, as few shadows cannot tell more.
    """
    counts = chosen.sum(axis=0)
    means = np.where(chosen, shadows, 0.0).sum(axis=0) / counts
    residues = np.where(chosen, shadows - means, 0.0)
    spread = max(float(np.sqrt((residues**2).sum() / counts.sum())), _LEAST_SPREAD)
    density: Floats = -0.5 * ((confidence - means) / spread) ** 2 - np.log(spread)
    return density


def compute_auc(members: Floats, others: Floats) -> float:
    """Return how often a member scores higher than another latent; a tie counts half.

    0.5 is chance.
    """
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left") + np.searchsorted(ordered, members, "right")
    return float(below.mean() / (2 * len(others)))
