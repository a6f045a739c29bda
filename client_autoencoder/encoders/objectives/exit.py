"""To name the label at the edge: a local exit (seed 001, first method).

The server learns from the same maps, so that they go up once and no gradient comes back.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from client_autoencoder.encoders.edge import Edge, draw_weights
from client_autoencoder.encoders.families import convolution
from client_autoencoder.encoders.fitting import OnEpoch, TrainingOptions, fit, run
from client_autoencoder.encoders.int8_weights import round_edge
from client_autoencoder.encoders.objectives.objective import Fitted, Objective, Split

_MOST_LOST = 0.003  # of all images


def fit_exit(
    edge: Edge,
    split: Split,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None,
) -> Fitted:
    """Train the edge and a linear exit behind it in cross-entropy."""
    values = math.prod(edge.config.output_shape)
    local_exit = nn.Sequential(nn.Flatten(), nn.Linear(values, len(split.labels)))
    network = nn.Sequential(edge, local_exit)
    draw_weights(network, generator)
    pairs = split.training, split.targets
    fit(network, pairs, options, generator, on_epoch, loss_of=cross_entropy)
    round_edge(edge, options.weights)
    probabilities = run(network, split.held_out).softmax(dim=1)
    confidence, chosen = (found.numpy() for found in probabilities.max(dim=1))
    right = chosen == split.held_out_targets.numpy()
    threshold = choose_threshold(confidence, right)
    scores = {
        "accuracy": float(right.mean()),
        "exit_threshold": threshold,
        "exit_share": float((confidence >= threshold).mean()),
    }
    return Fitted(scores, quality=1.0, exit=local_exit)


def choose_threshold(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Return the least threshold at which an exit's errors cost 0.3 points of accuracy at most.

    The cost is what it would be if the server were right about every image that the exit gets
    wrong, so it is a bound. Where even the surest answers are wrong, the threshold is 1.

    Args:
        confidence: of the likeliest label of held-out images, [N].
        right: whether that label is theirs, [N].
    """
    order = np.argsort(-confidence, kind="stable")
    affordable = np.cumsum(~right[order]) <= _MOST_LOST * len(right)
    # A threshold takes all images of its confidence, so only the last of equals counts.
    last = np.append(np.diff(confidence[order]) != 0, True)
    fitting = np.flatnonzero(affordable & last)
    return float(confidence[order][fitting[-1]]) if len(fitting) else 1.0


EXIT = Objective(fit_exit, family=convolution.FAMILY, labelled=True, loss="cross-entropy")
