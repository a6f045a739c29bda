"""The head ``ncm``: the class whose mean is nearest, among standardised latents.

Its probabilities are those of classes that spread equally, in all directions and around each mean.
Where numbers go together, as in maps, they are surer of themselves than they should be.

Source: Tibshirani et al., "Diagnosis of multiple cancer types by shrunken centroids of gene
expression", PNAS 2002, without shrinkage.
"""

import time
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from server_classifier.heads.head import Learner, OnEpoch, Trained, TrainingError, conclude
from server_classifier.heads.moments import Moments, measure, standardise
from server_classifier.heads.network import HeadNetwork
from server_classifier.heads.values import Targets, Values, read, split
from stream.threads import one_thread

SMALLEST_VARIANCE = 1e-6  # of classes whose latents are all the same


def fit(
    values: Values, targets: Targets, learners: Sequence[Learner], on_epoch: OnEpoch | None
) -> list[Trained | TrainingError]:
    """Find the means; settings and seeds do not matter, so that all learners get one network."""
    started = time.perf_counter()
    with one_thread(torch), torch.no_grad():
        network = _make_network(measure(values, targets))
        loss = _measure_loss(network, values, targets)
    if on_epoch is not None:
        on_epoch(1, 1)
    seconds = (time.perf_counter() - started) / len(learners)
    return [conclude(network, learner, len(values), loss, seconds) for learner in learners]


def _make_network(moments: Moments) -> HeadNetwork:
    """Write -|z - m|^2 / 2v of each class mean m as a linear layer; |z|^2 is the same for all."""
    rows = moments.counts.sum()
    mean, scale = standardise(moments.sums.sum(dim=0) / rows, moments.squares / rows)
    centres = (moments.sums / moments.counts.unsqueeze(1) - mean) / scale
    spread = (moments.squares / rows - mean.square()) / scale.square()
    between = (moments.counts.unsqueeze(1) * centres.square()).sum(dim=0) / rows
    variance = (spread - between).mean().clamp(min=SMALLEST_VARIANCE)
    layer = nn.Linear(len(mean), len(centres))
    network = HeadNetwork(len(mean), nn.Sequential(layer))
    layer.weight.copy_(centres / variance)
    layer.bias.copy_(-centres.square().sum(dim=1) / (2 * variance))
    network.mean.copy_(mean)
    network.scale.copy_(scale)
    return network.eval()


def _measure_loss(network: HeadNetwork, values: Values, targets: Targets) -> float:
    losses = [
        cross_entropy(network(read(values, rows)), torch.from_numpy(targets[rows]), reduction="sum")
        for rows in split(len(values))
    ]
    return float(sum(losses)) / len(values)
