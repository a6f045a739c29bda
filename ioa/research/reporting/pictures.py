"""Pictures as PNG: any figure, and rows of small pictures with one column per image."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Images = NDArray[np.float32]


@dataclass(frozen=True)
class PictureRow:
    """A title and pictures [N, H, W]; ``grey`` ones are drawn as pixels in 0..1."""

    title: str
    pictures: Images
    grey: bool = True


def make_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of this size in inches."""
    # Imported here, because matplotlib takes a second that no other command should wait for.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def encode_png(figure: "Figure") -> bytes:
    """Return a figure as PNG."""
    png = BytesIO()
    figure.savefig(png, format="png", dpi=120)
    return png.getvalue()


def draw_rows(rows: Sequence[PictureRow], labels: Sequence[str]) -> bytes:
    """Return a PNG of the rows under each other, with a column per label."""
    figure = make_figure(1.1 * len(labels) + 2.0, 1.3 * len(rows))
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
    return encode_png(figure)


def as_squares(latents: Images) -> Images:
    """Fold latents [N, D] into [N, S, S]; the last row is padded with the smallest value."""
    side = int(np.ceil(np.sqrt(latents.shape[1])))
    filled = np.full((len(latents), side * side), latents.min(), np.float32)
    filled[:, : latents.shape[1]] = latents
    return filled.reshape(len(latents), side, side)
