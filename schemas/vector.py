"""The numbers of a latent on the wire: bytes, a dtype and a shape.

Plain dtypes are little-endian numbers. Of packed ones only the network's manifest tells the values:
``stream.networks.packing`` unpacks them.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SchemaError

PlainDtype = Literal["float32", "int8", "int32"]
PackedDtype = Literal["int4", "jpeg"]
Dtype = PlainDtype | PackedDtype
Packing = Literal["float32", "int8", "int4", "jpeg"]
"""The dtypes in which what an edge makes may travel: its manifest allows some of them."""
MOST_DIMENSIONS = 8
_JPEG_START = b"\xff\xd8\xff"
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name).newbyteorder("<") for name in get_args(PlainDtype)
}


def read_dtype(name: str) -> PlainDtype:
    """Return ``name`` as a plain dtype.

    Raises:
        SchemaError: there is no such dtype, or it is a packed one.
    """
    if name in get_args(PackedDtype):
        raise SchemaError(f"{name} is packed, which only the Avro form carries", "dtype")
    if name not in DTYPES:
        raise SchemaError(f"{name[:20]!r} is none of {', '.join(DTYPES)}", "dtype")
    return cast(PlainDtype, name)


def count_bytes(dtype: str, count: int) -> int:
    """Return how many bytes ``count`` numbers take in any dtype but ``jpeg``."""
    return (count + 1) // 2 if dtype == "int4" else count * DTYPES[dtype].itemsize


@dataclass(slots=True)
class Vector:
    """One latent: ``data`` holds the prod(shape) numbers of ``shape`` as ``dtype``.

    Raises:
        SchemaError: the bytes do not fit dtype and shape, or a float32 is NaN or infinite.
    """

    dtype: Dtype
    shape: tuple[int, ...]
    data: bytes

    def __post_init__(self) -> None:
        if not 0 < len(self.shape) <= MOST_DIMENSIONS:
            raise SchemaError(f"has {len(self.shape)} sizes, not 1 to {MOST_DIMENSIONS}", "shape")
        if min(self.shape) < 1:
            raise SchemaError(f"{list(self.shape)} holds no numbers", "shape")
        count = math.prod(self.shape)
        if self.dtype == "jpeg":
            self._check_jpeg()
            return
        expected = count_bytes(self.dtype, count)
        if len(self.data) != expected:
            raise SchemaError(
                f"{len(self.data)} bytes, but {self.dtype} of shape {list(self.shape)} "
                f"takes {expected}",
                "value",
            )
        if self.dtype == "float32" and not np.isfinite(self.to_numpy()).all():
            position = int(np.flatnonzero(~np.isfinite(self.to_numpy()))[0])
            raise SchemaError("is not a finite number", f"value[{position}]")
        if self.dtype == "int4" and count % 2 and self.data[-1] & 0x0F:
            raise SchemaError("has a code after its last", "value")

    def _check_jpeg(self) -> None:
        """Check what needs no codec; its size is compared before it is decoded."""
        if not self.data.startswith(_JPEG_START):
            raise SchemaError("is not a JPEG", "value")
        if len(self.shape) != 3:
            raise SchemaError(f"{list(self.shape)} are no maps [C, H, W]", "shape")

    def to_numpy(self) -> NDArray[Any]:
        """Return a read-only array of ``shape`` that shares the bytes; of a plain dtype only."""
        return np.frombuffer(self.data, DTYPES[self.dtype]).reshape(self.shape)

    @classmethod
    def from_numpy(cls, array: NDArray[Any]) -> "Vector":
        """Copy an array of dtype float32, int8 or int32."""
        (vector,) = cls.from_rows(array[None])
        return vector

    @classmethod
    def from_rows(cls, rows: NDArray[Any]) -> "list[Vector]":
        """Copy each row of an array [N, ...] of dtype float32, int8 or int32."""
        name, shape = read_dtype(rows.dtype.name), rows.shape[1:]
        data = np.ascontiguousarray(rows, DTYPES[name]).tobytes()
        size = math.prod(shape) * DTYPES[name].itemsize
        return [cls(name, shape, data[row * size : (row + 1) * size]) for row in range(len(rows))]
