"""The demo's pictures: as PNG, and as text for the terminal."""

from pathlib import Path

from ioa.research.reporting.picture import Images, PictureRow, as_squares, draw_rows

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
    rows = [
        PictureRow("original\nstays in the house", originals),
        PictureRow("latent\ntravels", as_squares(latents), grey=False),
        PictureRow("reconstruction\nby our own decoder", reconstructions),
        PictureRow(f"restored\nby an attacker\n({restored_psnr:.1f} dB)", restored),
    ]
    draw_rows(path, rows, labels)


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
