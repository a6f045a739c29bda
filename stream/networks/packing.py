"""Packings: how what an edge makes travels in fewer bytes, and comes back as numbers.

The range of the codes is that of the network's manifest, never of a message: a range per message
would tell about the image, and the same code would mean different values in two messages.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SchemaError
from schemas.models.network_manifest import Output
from schemas.quantiser import dequantise, quantise
from schemas.vector import Dtype, Vector

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Values = NDArray[np.float32]
Bytes = NDArray[np.uint8]

JPEG_QUALITY = 75
_NIBBLES = 15
_LEVELS = 255


@dataclass(frozen=True, slots=True)
class Packer:
    """One packing.

    Attributes:
        pack: turns values [N, *shape] into the bytes of each; they are clipped to the range.
        unpack: turns the bytes of N vectors back into values [N, *shape].
    """

    pack: Callable[[Values, Output], list[bytes]]
    unpack: Callable[[Sequence[bytes], Output], Values]


def pack(values: Values, dtype: Dtype, output: Output) -> list[Vector]:
    """Return the vectors that carry values [N, *shape].

    Raises:
        SchemaError: the network's manifest does not allow the packing, or a value is not finite.
    """
    check_packing(dtype, output)
    shape = tuple(output.shape)
    return [Vector(dtype, shape, data) for data in PACKERS[dtype].pack(values, output)]


def unpack(blobs: Sequence[bytes], dtype: str, output: Output) -> Values:
    """Return the values [N, *shape] of stored vectors of one dtype.

    Raises:
        SchemaError: a JPEG cannot be decoded.
    """
    return PACKERS[dtype].unpack(blobs, output).reshape(len(blobs), *output.shape)


def check_packing(dtype: str, output: Output) -> None:
    """Check that the manifest of a network allows a packing.

    Raises:
        SchemaError: it does not; the text names those that it allows.
    """
    if dtype not in output.packings:
        allowed = ", ".join(output.packings)
        raise SchemaError(f"{dtype} is not a packing of this network; it allows {allowed}", "dtype")


def check_picture(data: bytes, output: Output) -> None:
    """Compare a JPEG's header with the manifest, before anybody decodes it.

    Raises:
        SchemaError: it is no grey JPEG of the size that the maps side by side have.
    """
    rows, columns = _measure_picture(output)
    picture = _open_picture(data)
    if picture.mode != "L" or picture.size != (columns, rows):
        width, height = picture.size
        raise SchemaError(
            f"is a JPEG of {width}x{height} pixels, mode {picture.mode}; maps of "
            f"{list(output.shape)} are {columns}x{rows} grey pixels",
            "value",
        )


def _pack_floats(values: Values, _: Output) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(values, "<f4")]


def _unpack_floats(blobs: Sequence[bytes], _: Output) -> Values:
    return _stack(blobs).view("<f4")


def _pack_int8(values: Values, output: Output) -> list[bytes]:
    return [row.tobytes() for row in quantise(values, output.low, output.high)]


def _unpack_int8(blobs: Sequence[bytes], output: Output) -> Values:
    return dequantise(_stack(blobs).view(np.int8), output.low, output.high)


def _pack_int4(values: Values, output: Output) -> list[bytes]:
    codes = _to_levels(values.reshape(len(values), -1), output, _NIBBLES)
    even = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
    return [row.tobytes() for row in even[:, ::2] << 4 | even[:, 1::2]]


def _unpack_int4(blobs: Sequence[bytes], output: Output) -> Values:
    pairs = _stack(blobs)
    codes = np.stack([pairs >> 4, pairs & 0x0F], axis=-1).reshape(len(blobs), -1)
    return _from_levels(codes[:, : math.prod(output.shape)], output, _NIBBLES)


def _pack_jpeg(values: Values, output: Output) -> list[bytes]:
    return [_write_picture(maps) for maps in _to_levels(values, output, _LEVELS)]


def _write_picture(maps: Bytes) -> bytes:
    """Write maps [C, H, W] side by side, as many to a row as there are rows, or one more."""
    from PIL import Image  # whoever packs no JPEG does without

    count, height, width = maps.shape
    columns = _count_columns(count)
    rows = -(-count // columns)
    tiles = np.zeros((rows * columns, height, width), np.uint8)
    tiles[:count] = maps
    grid = tiles.reshape(rows, columns, height, width).swapaxes(1, 2)
    file = BytesIO()
    picture = Image.fromarray(grid.reshape(rows * height, columns * width))
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _unpack_jpeg(blobs: Sequence[bytes], output: Output) -> Values:
    count, height, width = output.shape
    columns = _count_columns(count)
    levels = np.empty((len(blobs), count, height, width), np.uint8)
    for row, data in zip(levels, blobs, strict=True):
        check_picture(data, output)
        grid = _read_picture(data).reshape(-1, height, columns, width).swapaxes(1, 2)
        row[:] = grid.reshape(-1, height, width)[:count]
    return _from_levels(levels, output, _LEVELS)


def _measure_picture(output: Output) -> tuple[int, int]:
    """Return the rows and columns of the picture of all maps, in pixels."""
    count, height, width = output.shape
    columns = _count_columns(count)
    return -(-count // columns) * height, columns * width


def _count_columns(maps: int) -> int:
    return math.isqrt(maps - 1) + 1


def _open_picture(data: bytes) -> "Picture":
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures before we can compare their size.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(BytesIO(data), formats=("JPEG",))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SchemaError(f"is not a JPEG: {error}", "value") from error


def _read_picture(data: bytes) -> Bytes:
    try:
        return np.asarray(_open_picture(data))
    except (OSError, SyntaxError, ValueError) as error:
        raise SchemaError(f"is a damaged JPEG: {error}", "value") from error


def _to_levels(values: Values, output: Output, highest: int) -> Bytes:
    """Round values to codes from 0 (``low``) to ``highest`` (``high``), clipped."""
    if not np.isfinite(values).all():
        raise SchemaError("is not a finite number", "value")
    step = (output.high - output.low) / highest
    codes: Bytes = np.rint((values - output.low) / step).clip(0, highest).astype(np.uint8)
    return codes


def _from_levels(codes: Bytes, output: Output, highest: int) -> Values:
    levels = np.linspace(output.low, output.high, highest + 1, dtype=np.float32)
    return levels[codes]


def _stack(blobs: Sequence[bytes]) -> Bytes:
    """Return the bytes of N vectors of one length, [N, bytes], which may be written to."""
    return np.frombuffer(bytearray().join(blobs), np.uint8).reshape(len(blobs), -1)


PACKERS: dict[str, Packer] = {
    "float32": Packer(_pack_floats, _unpack_floats),
    "int8": Packer(_pack_int8, _unpack_int8),
    "int4": Packer(_pack_int4, _unpack_int4),
    "jpeg": Packer(_pack_jpeg, _unpack_jpeg),
}
