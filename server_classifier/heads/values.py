"""What heads learn from: arrays of latents or maps, read part by part where they may be large."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Targets = NDArray[np.int64]
_ROWS = 2048


class Values(Protocol):
    """An array [N, D] or [N, C, H, W], or what unpacks rows of one when they are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Targets, /) -> NDArray[np.float32]: ...


def split(rows: int) -> Iterator[slice]:
    """Yield the parts in which so many rows are read."""
    return (slice(start, start + _ROWS) for start in range(0, rows, _ROWS))


def read(values: Values, rows: slice | Targets) -> Tensor:
    """Return some rows as a tensor [N, D]; maps as rows of D = C * H * W numbers."""
    part = np.ascontiguousarray(values[rows], np.float32)
    return torch.from_numpy(part).flatten(1)
