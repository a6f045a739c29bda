"""Sums over all values, read part by part, so that packed ones are never all in memory."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from server_classifier.heads.values import Targets, Values, read, split

SMALLEST_SCALE = 1e-6  # a number that varies less than this is a constant and stays unscaled


class Moments(NamedTuple):
    """What N values [N, D] of P classes add up to, in float64.

    Attributes:
        counts: values of each class, [P].
        sums: of the values of each class, [P, D].
        squares: the sum of the squares of all, [D].
    """

    counts: Tensor
    sums: Tensor
    squares: Tensor


def measure(values: Values, targets: Targets) -> Moments:
    """Add up values by their targets [N], from 0 to P - 1."""
    counts = torch.from_numpy(np.bincount(targets))
    sums = torch.zeros(len(counts), int(np.prod(values.shape[1:])), dtype=torch.float64)
    squares = torch.zeros(sums.shape[1], dtype=torch.float64)
    for rows in split(len(values)):
        part = read(values, rows).double()
        sums.index_add_(0, torch.from_numpy(targets[rows]), part)
        squares += part.square().sum(dim=0)
    return Moments(counts, sums, squares)


def standardise(mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale (float64) of numbers from the means of them and their squares.

    A number that never varies keeps the scale 1.
    """
    spread = (square - mean.square()).clamp(min=0).sqrt()
    return mean, torch.where(spread > SMALLEST_SCALE, spread, 1.0)
