"""Packed values are an array whose rows are unpacked when they are read."""

import numpy as np
import pytest

from schemas.models.network_manifest import Output
from stream.networks.packed_values import PackedValues
from stream.networks.packing import pack, unpack

OUTPUT = Output((3, 4, 4), -1.0, 1.0, ("float32", "int8", "int4", "jpeg"))
VALUES = np.random.default_rng(0).uniform(-1, 1, (12, *OUTPUT.shape)).astype(np.float32)


def make_packed() -> PackedValues:
    vectors = [pack(VALUES[n : n + 1], OUTPUT.packings[n % 4], OUTPUT)[0] for n in range(12)]
    return PackedValues([v.dtype for v in vectors], [v.data for v in vectors], OUTPUT)


WHOLE = np.concatenate(
    [
        unpack([blob], dtype, OUTPUT)
        for dtype, blob in zip(make_packed().dtypes, make_packed().blobs, strict=True)
    ]
)


@pytest.mark.parametrize(
    "rows",
    [slice(None), slice(3, 7), slice(20, 30), np.array([7, 0, 7, 11]), np.array([], np.int64)],
    ids=str,
)
def test_rows_are_those_of_the_unpacked_array(rows: slice | np.ndarray) -> None:
    packed = make_packed()
    assert packed.shape == WHOLE.shape
    np.testing.assert_array_equal(packed[rows], WHOLE[rows])
    np.testing.assert_array_equal(np.asarray(packed)[rows], WHOLE[rows])


def test_places_are_filled_and_taken_without_unpacking() -> None:
    packed, empty = make_packed(), PackedValues.make_empty(12, OUTPUT)
    empty[0:5], empty[5:12] = packed.take(np.arange(5)), packed.take(np.arange(5, 12))
    assert (empty.dtypes, empty.blobs) == (packed.dtypes, packed.blobs)
    flat = np.empty((12, 48), np.float32).reshape(WHOLE.shape)
    flat[2:4] = packed.take(np.array([2, 3]))
    np.testing.assert_array_equal(flat[2:4], WHOLE[2:4])


def test_the_order_is_by_packing_and_bytes() -> None:
    packed = make_packed()
    for seed in range(3):
        mixed = packed.take(np.random.default_rng(seed).permutation(12))
        assert mixed.take(mixed.sort()).blobs == packed.take(packed.sort()).blobs


def test_an_array_without_a_copy_is_refused() -> None:
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(make_packed(), copy=False)
