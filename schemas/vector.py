"""The numbers of a latent on the wire: little-endian bytes, a dtype and a shape."""

import math
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SchemaError

Dtype = Literal["float32", "int8", "int32"]
MOST_DIMENSIONS = 8
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name).newbyteorder("<") for name in get_args(Dtype)
}


def read_dtype(name: str) -> Dtype:
    """Return ``name`` as a dtype.

    Raises:
        SchemaError: there is no such dtype.
    """
    if name not in DTYPES:
        raise SchemaError(f"{name[:20]!r} is none of {', '.join(DTYPES)}", "dtype")
    return cast(Dtype, name)


@dataclass(slots=True)
class Vector:
    """One latent: ``data`` holds prod(shape) little-endian numbers of ``dtype``.

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
        expected = count * DTYPES[self.dtype].itemsize
        if len(self.data) != expected:
            raise SchemaError(
                f"{len(self.data)} bytes, but {self.dtype} of shape {list(self.shape)} "
                f"takes {expected}",
                "value",
            )
        if self.dtype == "float32" and not np.isfinite(self.to_numpy()).all():
            position = int(np.flatnonzero(~np.isfinite(self.to_numpy()))[0])
            raise SchemaError("is not a finite number", f"value[{position}]")

    def to_numpy(self) -> NDArray[Any]:
        """Return a read-only array of ``shape`` that shares the bytes."""
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
