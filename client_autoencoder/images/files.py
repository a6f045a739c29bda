"""Reads a PNG or JPEG file as pixels, grey or in colour, by Pillow."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from client_autoencoder.images.batches import Channels, Pixels, UnreadableImage

SUFFIXES = (".png", ".jpg", ".jpeg")
LARGEST_PIXELS = 50_000_000
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_WIDE_WHITE = 65535.0


def read_image_file(path: Path, channels: Channels = 1) -> Pixels:
    """Read a PNG or JPEG as float32 [channels, H, W], 0 black to 1 white.

    Colour becomes grey (ITU-R 601) where one channel is wanted, a transparent pixel becomes black,
    an EXIF orientation is applied, and 16 bits are kept.

    Raises:
        UnreadableImage: it is broken, truncated, of another format, or has over 50 million pixels.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UnreadableImage("is neither PNG nor JPEG")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images before we can check them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                _check_pixels(image)
                return _to_pixels(ImageOps.exif_transpose(image), channels)
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage("is neither PNG nor JPEG inside") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"is too large: {error}") from error
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a decoder may raise anything on broken bytes
        raise UnreadableImage(f"is broken: {error or type(error).__name__}") from error


def _check_pixels(image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > LARGEST_PIXELS:
        raise UnreadableImage(
            f"has {pixels / 1e6:.0f} million pixels, the limit is {LARGEST_PIXELS / 1e6:.0f}"
        )


def _to_pixels(image: Image.Image, channels: Channels) -> Pixels:
    if image.mode in _WIDE_MODES:
        wide = np.asarray(image).astype(np.float32) / _WIDE_WHITE
        return np.repeat(wide[None].clip(0.0, 1.0), channels, axis=0)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(black, image.convert("RGBA"))
    narrow = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32)
    planes = narrow.reshape(*narrow.shape[:2], channels)
    return np.ascontiguousarray(np.moveaxis(planes, 2, 0)) / np.float32(255)
