"""The IDX format of arrays in a file, as MNIST is published in, plain or gzip.

Source: section "The IDX file format" of http://yann.lecun.com/exdb/mnist/. Two zero bytes, one
byte for the type of the elements (0x08 is an unsigned byte), one for the number of dimensions,
then each dimension's size as four bytes, big-endian, then the elements, the last dimension
changing fastest.
"""

import gzip
import struct
import zlib
from io import BufferedIOBase, BufferedReader
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError

IMAGES, LABELS = 3, 1  # dimensions
LARGEST_BYTES = 2**31  # EMNIST's largest file has 0.55e9

_CONTENTS = {IMAGES: "images", LABELS: "labels"}
_UNSIGNED_BYTE = 0x08
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read a file of unsigned bytes in ``dimensions``: 3 for images [N, H, W], 1 for labels [N].

    The header is not trusted: no more is read or allocated than the file holds.

    Raises:
        ClientError: the file cannot be read, is no IDX file of this kind, is damaged gzip, is
            empty, or holds more or fewer bytes than its header says.
    """
    try:
        with path.open("rb") as file, _unpack(file) as content:
            shape = _read_shape(path, content, dimensions)
            elements = _read_at_most(content, prod(shape) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ClientError(f"{path} is damaged gzip: {error}; copy it again") from error
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(elements) != prod(shape):
        found = "more" if len(elements) > prod(shape) else f"{len(elements)} bytes"
        raise ClientError(
            f"{path} promises {_sizes(shape)} = {prod(shape)} bytes and holds {found}; "
            "copy it again"
        )
    return np.frombuffer(elements, np.uint8).reshape(shape)


def _unpack(file: BufferedReader) -> BufferedIOBase:
    # The name does not tell: browsers unpack a download and leave .gz in its name.
    return gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file


def _read_shape(path: Path, file: BufferedIOBase, dimensions: int) -> tuple[int, ...]:
    header = file.read(4 + 4 * dimensions)
    _check_magic(path, header[:4], dimensions)
    if len(header) < 4 + 4 * dimensions:
        raise ClientError(
            f"{path} ends within its header, after {len(header)} bytes; copy it again"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if prod(shape) == 0:
        raise ClientError(f"{path} holds nothing: its header says {_sizes(shape)}")
    if prod(shape) > LARGEST_BYTES:
        raise ClientError(
            f"{path} promises {_sizes(shape)} = {prod(shape)} bytes, the limit is "
            f"{LARGEST_BYTES}; its header is damaged, copy it again"
        )
    return shape


def _check_magic(path: Path, magic: bytes, dimensions: int) -> None:
    contents = _CONTENTS[dimensions]
    expected = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if magic == expected:
        return
    if len(magic) == 4 and magic[:2] == expected[:2]:
        found = f"holds elements of type 0x{magic[2]:02x} in {magic[3]} dimensions"
    else:
        found = f"is no IDX file: it starts with {magic.hex(' ') or 'nothing'}"
    raise ClientError(
        f"{path} {found}; IDX {contents} start with {expected.hex(' ')} (unsigned bytes, "
        f"{dimensions} dimensions), name a file such as train-{contents}-idx{dimensions}-ubyte"
    )


def _read_at_most(file: BufferedIOBase, limit: int) -> bytearray:
    """Read to the end or to ``limit``, in chunks: a large read allocates what it asks for."""
    content = bytearray()
    while chunk := file.read(min(_CHUNK, limit - len(content))):
        content += chunk
    return content


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
