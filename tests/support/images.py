"""Small images of three classes, drawn from a random seed: bars, rings and squares."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client_autoencoder.images.batches import ImageBatch

CLASSES = ("bar", "ring", "square")


def draw_images(count: int, side: int = 8, seed: int = 0) -> ImageBatch:
    """Return ``count`` images [N, 1, side, side] of the classes in turn, all slightly different."""
    rng = np.random.default_rng(seed)
    labels: list[str | None] = [CLASSES[index % 3] for index in range(count)]
    images = np.stack([_draw(str(label), side, rng) for label in labels])[:, None]
    return ImageBatch(images, labels, [f"made[{index}]" for index in range(count)])


def write_class_folders(folder: Path, batch: ImageBatch, suffix: str = ".png") -> list[Path]:
    """Write the images as ``folder/<label>/<number>.png`` and return the paths."""
    return [
        write_image(folder / str(label) / f"{number:04d}{suffix}", pixels[0])
        for number, (pixels, label) in enumerate(zip(batch.images, batch.labels, strict=True))
    ]


def write_image(path: Path, pixels: NDArray[np.float32]) -> Path:
    """Write one image [H, W] in 0..1 with 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(path)
    return path


def _draw(label: str, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    image = np.zeros((side, side), np.float32)
    ink = np.float32(rng.uniform(0.7, 1.0))
    top, left = (int(number) for number in rng.integers(0, side // 4 + 1, 2))
    reach = side // 2 + int(rng.integers(0, side // 4 + 1))
    if label == "bar":
        image[:, left + 1 : left + 1 + side // 4] = ink
    else:
        image[top : top + reach, left : left + reach] = ink
    if label == "ring":
        image[top + 1 : top + reach - 1, left + 1 : left + reach - 1] = 0
    return image
