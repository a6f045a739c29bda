"""Augmentation: copies of images, rotated, shifted, scaled and distorted, but of the same class.

The latents of the copies teach the server's classifier what does not matter. Every copy is one more
message about its image, and one more release of it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.images.batches import ImageBatch, Pixels, Size

_KNOTS = 6  # of the elastic grid along each side
_REACH = 0.75  # of one knot, in distances between knots
_CHUNK = 2**16  # pixels per step, few enough to stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far copies may differ from their image; with all zero they are equal to it.

    Attributes:
        rotation: largest angle to either side, in degrees.
        shift: largest move to each side, as a share of height and width.
        scale: largest growth or shrinkage, as a share.
        elastic: standard deviation of each pixel's own displacement, as a share of the sides.
    """

    rotation: float = 12.0
    shift: float = 0.06
    scale: float = 0.12
    elastic: float = 0.03


MILD = Augmentation()


def augment(
    images: Pixels, copies: int, rng: np.random.Generator, options: Augmentation = MILD
) -> Pixels:
    """Return ``copies`` changed copies of each image: [N, C, H, W] in 0..1 -> [N, copies, C, H, W].

    Rotation, shift and scale are drawn uniformly within their bounds. The elastic distortion is
    that of Simard, Steinkraus & Platt (ICDAR 2003), with the smooth field drawn on a coarse grid.
    One bilinear sampling applies them all; pixels from outside the image are black.
    """
    count, channels, height, width = images.shape
    # With a rim no sample needs a bounds check.
    padded = np.pad(images.swapaxes(0, 1), ((0, 0), (0, 0), (1, 2), (1, 2)))
    sources = np.repeat(np.arange(count), copies)
    changed = np.empty((count * copies, channels, height, width), np.float32)
    step = max(1, _CHUNK // (height * width))
    for start in range(0, len(sources), step):
        chunk = sources[start : start + step]
        positions = _draw_positions(len(chunk), (height, width), rng, options)
        for channel, planes in enumerate(padded):
            changed[start : start + step, channel] = _sample(planes, chunk, positions)
    return changed.reshape(count, copies, channels, height, width)


def augment_batches(
    batches: Iterable[ImageBatch],
    copies: int,
    rng: np.random.Generator,
    make_image_id: Callable[[], str],
    options: Augmentation = MILD,
) -> Iterator[ImageBatch]:
    """Yield each batch of N as a batch of N * (copies + 1): every image, followed by its copies.

    Args:
        make_image_id: called once per image; the image and its copies share the id. The id must be
            random: an id made from the image would tell who else holds the same image.
    """
    for batch in batches:
        image_ids = [make_image_id() for _ in batch.names]
        identified = ImageBatch(batch.images, batch.labels, batch.names, image_ids)
        repeated = identified.select(np.repeat(np.arange(len(batch)), copies + 1))
        groups = repeated.images.reshape(len(batch), copies + 1, *batch.images.shape[1:])
        groups[:, 1:] = augment(batch.images, copies, rng, options)
        yield repeated


def _draw_positions(
    count: int, size: Size, rng: np.random.Generator, options: Augmentation
) -> Pixels:
    """Draw where the pixels of ``count`` copies come from: rows and columns [2, count, H, W]."""
    height, width = size
    angle = np.radians(rng.uniform(-options.rotation, options.rotation, count))
    scale = rng.uniform(1 - options.scale, 1 + options.scale, count)
    shift = rng.uniform(-options.shift, options.shift, (2, count))
    # The inverse of each change: what moves down is read from further up.
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    y = _centred(height) - shift[0, :, None] * height  # [count, H]
    x = _centred(width) - shift[1, :, None] * width  # [count, W]
    positions = np.empty((2, count, height, width), np.float32)
    positions[0] = _outer_sum(cos[:, None] * y + (height - 1) / 2, -sin[:, None] * x)
    positions[1] = _outer_sum(sin[:, None] * y + (width - 1) / 2, cos[:, None] * x)
    if options.elastic:
        positions += _draw_field(count, size, rng, options.elastic)
    return positions


def _draw_field(count: int, size: Size, rng: np.random.Generator, strength: float) -> Pixels:
    """Draw smooth displacements [2, count, H, W] in pixels; each is normal with this strength."""
    height, width = size
    knots = rng.standard_normal((2, count, _KNOTS, _KNOTS), np.float32)
    pixels = np.array([strength * height, strength * width], np.float32)
    field: Pixels = _spread(height) @ (knots * pixels[:, None, None, None]) @ _spread(width).T
    return field


def _spread(side: int) -> Pixels:
    """Return the weight of each knot at each pixel [side, knots], a Gaussian around the knot.

    The squares of a row add up to 1, so that all pixels are displaced by the same deviation.
    """
    pixels = (np.arange(side) + 0.5) / side * (_KNOTS - 1)
    weights = np.exp(-0.5 * ((pixels[:, None] - np.arange(_KNOTS)) / _REACH) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return weights.astype(np.float32)


def _sample(padded: Pixels, sources: NDArray[np.intp], positions: Pixels) -> Pixels:
    """Read images bilinearly: [N, H + 3, W + 3] with a black rim, at [2, n, H, W] -> [n, H, W]."""
    height, width = padded.shape[1:]
    rows = np.clip(positions[0] + 1, 0, height - 2)  # + 1 for the rim
    columns = np.clip(positions[1] + 1, 0, width - 2)
    top, left = np.floor(rows), np.floor(columns)
    corner = top.astype(np.intp) * width + left.astype(np.intp)
    corner += (sources * height * width)[:, None, None]
    pixels, below, beside = padded.reshape(-1), rows - top, columns - left
    upper = _blend(pixels.take(corner), pixels.take(corner + 1), beside)
    lower = _blend(pixels.take(corner + width), pixels.take(corner + width + 1), beside)
    return _blend(upper, lower, below).clip(0.0, 1.0)


def _blend(first: Pixels, second: Pixels, share: Pixels) -> Pixels:
    return first + (second - first) * share


def _centred(side: int) -> NDArray[np.float64]:
    return np.arange(side, dtype=np.float64) - (side - 1) / 2


def _outer_sum(down: NDArray[np.float64], across: NDArray[np.float64]) -> Pixels:
    """Add [n, H] and [n, W] to [n, H, W]."""
    return down.astype(np.float32)[:, :, None] + across.astype(np.float32)[:, None, :]
