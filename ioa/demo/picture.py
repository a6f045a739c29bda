"""The demo's one picture: originals, what travels, what the decoder and an attacker make of it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
_SHADES = " .:-=+*#%@"
_TEXT_PIXELS = 16


def draw_demo(
    path: Path,
    *,
    originals: Images,
    latents: Images,
    reconstructions: Images,
    restored: Images,
    labels: list[str],
    restored_psnr: float,
) -> None:
    """Write a PNG of one column per image [N, H, W]; latents [N, D] are drawn as small squares."""
    # Here, since drawing on the terminal needs no matplotlib and importing it takes a second.
    from matplotlib.figure import Figure

    rows: list[tuple[str, Images, str]] = [
        ("original\nstays in the house", originals, "gray"),
        ("latent\ntravels", _as_squares(latents), "viridis"),
        ("reconstruction\nby our own decoder", reconstructions, "gray"),
        (f"restored\nby an attacker\n({restored_psnr:.1f} dB)", restored, "gray"),
    ]
    figure = Figure(figsize=(1.1 * len(labels) + 2.0, 5.2), layout="constrained")
    axes = figure.subplots(len(rows), len(labels), squeeze=False)
    for axes_row, (title, pictures, colours) in zip(axes, rows, strict=True):
        scale: dict[str, Any] = {"vmin": 0, "vmax": 1} if colours == "gray" else {}
        for axis, picture in zip(axes_row, pictures, strict=True):
            axis.imshow(picture, cmap=colours, interpolation="nearest", **scale)
            axis.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=10)
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set_title(label, fontsize=10)
    figure.savefig(path, format="png", dpi=120)


def draw_pair(original: list[list[float]], restored: list[list[float]]) -> str:
    """Return two images [H][W] in 0..1 side by side as text, at most 16 pixels wide each."""
    step = -(-len(original[0]) // _TEXT_PIXELS)
    width = 2 * (-(-len(original[0]) // step))
    lines = [f"{'original':<{width}}   restored by an attacker from the message"]
    for left, right in zip(original[::step], restored[::step], strict=True):
        lines.append(f"{_shade(left[::step])}   {_shade(right[::step])}".rstrip())
    return "\n".join(lines)


def _shade(row: list[float]) -> str:
    return "".join(2 * _SHADES[round(value * (len(_SHADES) - 1))] for value in row)


def _as_squares(latents: Images) -> Images:
    """Fold latents [N, D] into [N, S, S], the last row filled up with the smallest value."""
    side = int(np.ceil(np.sqrt(latents.shape[1])))
    filled = np.full((len(latents), side * side), latents.min(), np.float32)
    filled[:, : latents.shape[1]] = latents
    return filled.reshape(len(latents), side, side)
