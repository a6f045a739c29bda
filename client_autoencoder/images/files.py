"""Reads a PNG or JPEG file as grey pixels, by Pillow."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from client_autoencoder.images.batches import Pixels, UnreadableImage

SUFFIXES = (".png", ".jpg", ".jpeg")
LARGEST_PIXELS = 50_000_000
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_WIDE_WHITE = 65535.0


def read_image_file(path: Path) -> Pixels:
    """Read a PNG or JPEG as float32 [H, W], 0 black to 1 white.

    Colour becomes grey (ITU-R 601), a transparent pixel becomes black, an EXIF orientation is
    applied, and 16 bits are kept.

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
                return _to_grey(ImageOps.exif_transpose(image))
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


def _to_grey(image: Image.Image) -> Pixels:
    if image.mode in _WIDE_MODES:
        wide = np.asarray(image).astype(np.float32) / _WIDE_WHITE
        return wide.clip(0.0, 1.0)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray(image.convert("L"), np.float32) / np.float32(255)
