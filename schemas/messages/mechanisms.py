"""The table of known mechanisms, and whether what a message says of one can be true.

``privacy`` is a sender's word, so nothing in it permits more by itself. What a message states of a
known mechanism must fit what the mechanism does. An unknown mechanism is kept in the sender's
words, permits nothing, and never has a guarantee.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from schemas.errors import SchemaError
from schemas.gaussian import LARGEST_EPSILON, LEAST_DELTA, gaussian_delta
from schemas.messages.latent import Privacy

_SPREAD = 9.0  # standard deviations; 53 random bits never make a normal number beyond 8.6
_TOLERANCE = 0.01  # of sigma, for other ways to compute it


class Reach(NamedTuple):
    """Latents up to an L2 norm are released, each number moved by up to ``noise``."""

    norm: float
    noise: float


class Mechanism(NamedTuple):
    """A mechanism that the platform knows.

    Attributes:
        no_guarantee: why no message may state a guarantee; None where one may.
        measure: takes a statement and the number of images in the vector. Raises SchemaError where
            they contradict the mechanism; returns None where they do not tell how far it reaches.
    """

    no_guarantee: str | None
    measure: Callable[[Privacy, int], Reach | None]


def measure_reach(privacy: Privacy, count: int) -> Reach | None:
    """Return how far the stated mechanism moves latents; None where that is not known.

    Args:
        count: images in the vector; each moves a mean by that much less.

    Raises:
        SchemaError: the statement contradicts the table.
    """
    if privacy.epsilon is not None and privacy.epsilon > LARGEST_EPSILON:
        raise SchemaError(
            f"{privacy.epsilon:g} protects nothing; at most {LARGEST_EPSILON:g} may be stated",
            "privacy.epsilon",
        )
    known = MECHANISMS.get(privacy.mechanism)
    if known is None:
        return None
    if privacy.guarantee and known.no_guarantee:
        raise SchemaError(
            f"mechanism {privacy.mechanism} has none: {known.no_guarantee}; state false",
            "privacy.guarantee",
        )
    return known.measure(privacy, count)


def earn_guarantee(privacy: Privacy) -> Privacy:
    """Return the statement with a guarantee only of a known mechanism that gives one."""
    known = MECHANISMS.get(privacy.mechanism)
    if privacy.guarantee and (known is None or known.no_guarantee):
        return replace(privacy, guarantee=False)
    return privacy


def _measure_nothing(privacy: Privacy, _count: int) -> None:
    if privacy.epsilon is not None or privacy.delta is not None:
        field = "epsilon" if privacy.epsilon is not None else "delta"
        raise SchemaError("mechanism none has none; leave it out", f"privacy.{field}")


def _measure_gaussian(privacy: Privacy, count: int) -> Reach | None:
    """Hold clip and sigma against epsilon and delta, as ``gaussian_delta`` has them."""
    parameters = privacy.parameters or {}
    clip, sigma = parameters.get("clip"), parameters.get("sigma")
    epsilon, delta = privacy.epsilon, privacy.delta
    if clip is None or sigma is None or epsilon is None or delta is None:
        return None
    if (privacy.unit, privacy.adjacency) != ("record", "replace-one"):
        return None
    _check_bounds(clip, sigma, delta)
    sensitivity = 2 * clip / count
    stated = parameters.get("sensitivity", sensitivity)
    if stated < sensitivity * (1 - _TOLERANCE):
        raise SchemaError(
            f"sensitivity {stated:g} is too small; of clip {clip:g} it is {sensitivity:g}",
            "privacy.parameters",
        )

    def compute_delta(factor: float) -> float:
        return gaussian_delta(sigma=factor * sigma, epsilon=epsilon, sensitivity=sensitivity)

    if compute_delta(1 + _TOLERANCE) > delta:
        raise SchemaError(
            f"sigma {sigma:g} is too little noise for epsilon {epsilon:g}, delta {delta:g} and "
            f"clip {clip:g}",
            "privacy.parameters",
        )
    needed = compute_delta(1 - _TOLERANCE) >= delta  # more noise than that permits no more
    return Reach(clip, _SPREAD * sigma) if needed else None


def _check_bounds(clip: float, sigma: float, delta: float) -> None:
    for name, value in (("clip", clip), ("sigma", sigma)):
        if not 0 < value < math.inf:
            raise SchemaError(f"{name} {value:g} is not above 0", "privacy.parameters")
    if not LEAST_DELTA <= delta < 1:
        raise SchemaError(
            f"{delta:g} is not from {LEAST_DELTA:g} to below 1, as of gaussian noise",
            "privacy.delta",
        )


MECHANISMS: dict[str, Mechanism] = {
    "none": Mechanism("nothing was done to the latent", _measure_nothing),
    "gaussian": Mechanism("nothing counts the releases of an image yet", _measure_gaussian),
}
