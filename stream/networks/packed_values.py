"""What many messages carry, kept as it came: an array that unpacks rows when they are read."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.models.network_manifest import Output
from stream.networks.packing import unpack

Rows = slice | NDArray[np.int64]


class PackedValues:
    """Values [N, *shape] of one network, each in the bytes of one of its packings.

    Indexed by a slice or by places, it gives these rows as a float32 array; ``numpy.asarray``
    unpacks all of them.

    Attributes:
        dtypes: the packing of each row, [N].
        blobs: the bytes of each row, [N].
    """

    def __init__(self, dtypes: Sequence[str], blobs: Sequence[bytes], output: Output) -> None:
        self.dtypes, self.blobs = list(dtypes), list(blobs)
        self._output = output

    @classmethod
    def make_empty(cls, rows: int, output: Output) -> "PackedValues":
        """Return ``rows`` places, to which other values can be assigned."""
        return cls([""] * rows, [b""] * rows, output)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D) or (N, C, H, W)."""
        return len(self), *self._output.shape

    def __len__(self) -> int:
        return len(self.blobs)

    def __getitem__(self, rows: Rows) -> NDArray[np.float32]:
        places = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        dtypes = [self.dtypes[place] for place in places]
        blobs = [self.blobs[place] for place in places]
        values = np.empty((len(blobs), *self._output.shape), np.float32)
        for dtype in set(dtypes):
            own = [stored == dtype for stored in dtypes]
            values[own] = unpack(list(compress(blobs, own)), dtype, self._output)
        return values

    def __setitem__(self, rows: slice, other: "PackedValues") -> None:
        self.dtypes[rows], self.blobs[rows] = other.dtypes, other.blobs

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("packed values cannot be read without a copy")
        return self[:].astype(dtype or np.float32, copy=False)

    def take(self, places: NDArray[np.int64], axis: int = 0) -> "PackedValues":
        """Return the rows at some places, packed as they are; ``axis`` is 0, as of rows."""
        chosen = places.tolist()
        dtypes, blobs = ([kept[place] for place in chosen] for kept in (self.dtypes, self.blobs))
        return PackedValues(dtypes, blobs, self._output)

    def sort(self) -> NDArray[np.int64]:
        """Return the places of the rows by packing, then by bytes; rows that tie are equal."""
        order = sorted(range(len(self)), key=lambda row: (self.dtypes[row], self.blobs[row]))
        return np.array(order, np.int64)
