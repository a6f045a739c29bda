"""Rows of small pictures under each other, one column per image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]


@dataclass(frozen=True)
class PictureRow:
    """A title and pictures [N, H, W]; ``grey`` ones are drawn as pixels in 0..1."""

    title: str
    pictures: Images
    grey: bool = True


def draw_rows(path: Path, rows: Sequence[PictureRow], labels: Sequence[str]) -> None:
    """Write a PNG with a column per label."""
    # Here, since importing matplotlib takes a second that nobody else should wait for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.1 * len(labels) + 2.0, 1.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(labels), squeeze=False)
    for axes_row, row in zip(axes, rows, strict=True):
        scale: dict[str, Any] = {"vmin": 0, "vmax": 1} if row.grey else {}
        for axis, picture in zip(axes_row, row.pictures, strict=True):
            colours = "gray" if row.grey else "viridis"
            axis.imshow(picture, cmap=colours, interpolation="nearest", **scale)
            axis.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(row.title, rotation=0, ha="right", va="center", fontsize=10)
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set_title(label, fontsize=10)
    figure.savefig(path, format="png", dpi=120)


def as_squares(latents: Images) -> Images:
    """Fold latents [N, D] into [N, S, S], the last row filled up with the smallest value."""
    side = int(np.ceil(np.sqrt(latents.shape[1])))
    filled = np.full((len(latents), side * side), latents.min(), np.float32)
    filled[:, : latents.shape[1]] = latents
    return filled.reshape(len(latents), side, side)
