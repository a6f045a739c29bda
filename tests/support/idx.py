"""IDX files as those of MNIST, compressed if their name ends in .gz."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_idx(path: Path, array: NDArray[Any]) -> Path:
    """Write an array of any shape with whole numbers 0 to 255."""
    return write_packed(path, pack_idx(array))


def pack_idx(array: NDArray[Any]) -> bytes:
    """Return the bytes of an IDX file of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_packed(path: Path, content: bytes) -> Path:
    """Write bytes, compressed if the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path
