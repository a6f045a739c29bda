"""Every PNG and JPEG becomes grey pixels in 0..1, or a reason."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from client_autoencoder.images.batches import UnreadableImage
from client_autoencoder.images.files import read_image_file

GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)  # steps of 0.2
WANTED = GREY.astype(np.float32) / 255


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def coloured(*pixel: int, mode: str) -> Image.Image:
    return Image.new(mode, (2, 1), pixel)


def test_8_bit_grey_is_scaled_by_255(tmp_path: Path) -> None:
    pixels = read_image_file(save(Image.fromarray(GREY), tmp_path / "a.png"))
    assert pixels.dtype == np.float32
    assert pixels[0] == pytest.approx(WANTED)


def test_16_bits_are_kept(tmp_path: Path) -> None:
    wide = np.array([[0, 1, 32768, 65535]], np.uint16)
    pixels = read_image_file(save(Image.fromarray(wide), tmp_path / "a.png"))
    assert pixels[0] == pytest.approx(wide / 65535, abs=1e-7)


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        pytest.param(coloured(255, 0, 0, mode="RGB"), 76 / 255, id="red"),
        pytest.param(coloured(200, 128, mode="LA"), 100 / 255, id="half-transparent-grey"),
        pytest.param(coloured(255, 255, 255, 0, mode="RGBA"), 0.0, id="transparent-white"),
        pytest.param(Image.new("1", (2, 1), 1), 1.0, id="one-bit"),
        pytest.param(coloured(255, 0, 0, mode="RGB").quantize(4), 76 / 255, id="palette"),
    ],
)
def test_other_modes_become_grey(tmp_path: Path, image: Image.Image, grey: float) -> None:
    pixels = read_image_file(save(image, tmp_path / "a.png"))
    assert pixels.shape == (1, 1, 2)
    assert pixels == pytest.approx(grey, abs=1.5 / 255)


def test_a_transparent_colour_of_a_palette_is_black(tmp_path: Path) -> None:
    image = coloured(255, 255, 255, mode="RGB").quantize(2)
    path = save(image, tmp_path / "a.png", transparency=image.getpixel((0, 0)))
    assert read_image_file(path) == pytest.approx(0.0)


def test_a_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), tmp_path / "a.jpeg")
    assert read_image_file(path) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG"])
def test_an_exif_orientation_is_undone(tmp_path: Path, suffix: str) -> None:
    left_dark = Image.fromarray(np.repeat([[0, 0, 0, 0, 255, 255, 255, 255]], 4, 0).astype("uint8"))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    pixels = read_image_file(save(left_dark, tmp_path / f"a.{suffix}", exif=exif))
    assert pixels.shape == (1, 8, 4)
    assert pixels[0, 0] == pytest.approx(0.0, abs=0.1)
    assert pixels[0, -1] == pytest.approx(1.0, abs=0.1)


def forge_png(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims to be large."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [
        struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        for body in (header, data, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def good_png(tmp_path: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    return save(Image.fromarray(noise), tmp_path / "good.png").read_bytes()


def good_jpeg(tmp_path: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    return save(Image.fromarray(noise), tmp_path / "good.jpg").read_bytes()


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        pytest.param("a.png", lambda _: b"", "neither PNG nor JPEG inside", id="empty"),
        pytest.param(
            "a.png", lambda _: b"GIF89a text", "neither PNG nor JPEG inside", id="other-format"
        ),
        pytest.param("a.dcm", lambda _: b"DICM", "neither PNG nor JPEG$", id="other-suffix"),
        pytest.param("a.png", lambda p: good_png(p)[:-600], "truncated|broken", id="cut-png"),
        pytest.param("a.jpg", lambda p: good_jpeg(p)[:-600], "truncated|broken", id="cut-jpeg"),
        pytest.param(
            "a.png",
            lambda p: good_png(p)[:20],
            "neither PNG|broken|cannot be read",
            id="cut-header",
        ),
        pytest.param("a.png", lambda _: forge_png(8000, 8000), "has 64 million", id="large"),
        pytest.param("a.png", lambda _: forge_png(12000, 12000), "has 144 million", id="larger"),
        pytest.param("a.png", lambda _: forge_png(60000, 60000), "too large", id="bomb"),
    ],
)
def test_a_bad_file_gives_a_reason(
    tmp_path: Path, name: str, make: Callable[[Path], bytes], reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(make(tmp_path))
    with pytest.raises(UnreadableImage, match=reason):
        read_image_file(path)


def test_a_missing_file_gives_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="cannot be read: No such file"):
        read_image_file(tmp_path / "a.png")


def test_any_damaged_byte_gives_pixels_or_a_reason(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "a.png"
    for whole in (good_png(tmp_path), good_jpeg(tmp_path)):
        for position in rng.integers(0, len(whole), 150):
            damaged = bytearray(whole)
            damaged[position] = int(rng.integers(256))
            path.write_bytes(damaged)
            with suppress(UnreadableImage):
                pixels = read_image_file(path)
                assert pixels.min() >= 0
                assert pixels.max() <= 1
