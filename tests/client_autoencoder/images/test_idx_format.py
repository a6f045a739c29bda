"""IDX files byte by byte: what is read, and what is said of a file that is damaged."""

import gzip
import os
import struct
import tempfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_autoencoder.errors import ClientError
from client_autoencoder.images.idx_format import IMAGES, LABELS, LARGEST_BYTES, read_idx
from tests.support.idx import pack_idx, write_idx, write_packed

PIXELS = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.uint8)
WHOLE = pack_idx(PIXELS)


def header(*sizes: int, kind: int = 0x08) -> bytes:
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, kind, len(sizes), *sizes)


@pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.gz"])
def test_a_file_plain_or_packed(tmp_path: Path, name: str) -> None:
    path = write_idx(tmp_path / name, PIXELS)
    assert np.array_equal(read_idx(path, IMAGES), PIXELS)


def test_the_published_form_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(b"\x00\x00\x08\x01\x00\x00\x00\x03\x05\x00\xff")
    assert read_idx(path, LABELS).tolist() == [5, 0, 255]


def test_packing_is_recognised_by_content_and_not_by_name(tmp_path: Path) -> None:
    unpacked = tmp_path / "a-idx3-ubyte.gz"
    unpacked.write_bytes(WHOLE)
    packed = tmp_path / "a-idx3-ubyte"
    packed.write_bytes(gzip.compress(WHOLE))
    assert np.array_equal(read_idx(unpacked, IMAGES), PIXELS)
    assert np.array_equal(read_idx(packed, IMAGES), PIXELS)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "no IDX file: it starts with nothing", id="empty"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "starts with 89 50 4e 47; .* 00 00 08 03", id="png"),
        pytest.param(b"\x00\x00\x08", "starts with 00 00 08", id="three-bytes"),
        pytest.param(header(2), "type 0x08 in 1 dimensions; .* 3 dimensions", id="labels"),
        pytest.param(header(2, 3, 4, kind=0x0D), "type 0x0d in 3 dimensions", id="floats"),
        pytest.param(struct.pack("<4I", 0x803, 2, 3, 4), "03 08 00 00", id="little-endian"),
        pytest.param(WHOLE[:13], "within its header, after 13 bytes", id="half-a-header"),
        pytest.param(header(0, 28, 28), "holds nothing: .* 0x28x28", id="no-images"),
        pytest.param(header(2, 0, 28), "holds nothing: .* 2x0x28", id="no-rows"),
        pytest.param(header(2**32 - 1, 2**32 - 1, 0), "holds nothing", id="much-of-nothing"),
        pytest.param(WHOLE[:-1], "2x3x4 = 24 bytes and holds 23 bytes", id="one-fewer"),
        pytest.param(WHOLE[:16], "2x3x4 = 24 bytes and holds 0 bytes", id="header-alone"),
        pytest.param(WHOLE + b"\x00", "24 bytes and holds more", id="one-more"),
        pytest.param(header(*[2**32 - 1] * 3), f"the limit is {LARGEST_BYTES}", id="absurd"),
    ],
)
def test_a_file_that_is_no_idx_file_of_images(
    tmp_path: Path, content: bytes, reason: str, ending: str
) -> None:
    path = write_packed(tmp_path / f"train-images-idx3-ubyte{ending}", content)
    with pytest.raises(ClientError, match=reason) as caught:
        read_idx(path, IMAGES)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [2, 9, 20, -9, -8, -1])
def test_gzip_cut_short_is_damaged_even_where_all_pixels_are_there(
    tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "a-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(WHOLE)[:kept])
    with pytest.raises(ClientError, match=r"a-idx3-ubyte\.gz is damaged gzip: .*copy it again"):
        read_idx(path, IMAGES)


def test_gzip_with_a_wrong_sum_is_damaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(WHOLE))
    packed[-8] ^= 1  # the first byte of the CRC
    path = tmp_path / "a-idx3-ubyte.gz"
    path.write_bytes(packed)
    with pytest.raises(ClientError, match="damaged gzip: CRC"):
        read_idx(path, IMAGES)


def test_a_large_promise_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a-idx3-ubyte"
    path.write_bytes(header(LARGEST_BYTES // 2**20, 2**10, 2**10) + b"little")
    tracemalloc.start()
    try:
        with pytest.raises(ClientError, match="holds 6 bytes"):
            read_idx(path, IMAGES)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_packed_flood_is_read_no_further_than_promised(tmp_path: Path) -> None:
    path = write_packed(tmp_path / "a-idx3-ubyte.gz", header(1, 2, 2) + bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(ClientError, match="4 bytes and holds more"):
            read_idx(path, IMAGES)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="absent cannot be read: No such file"):
        read_idx(tmp_path / "absent", IMAGES)
    with pytest.raises(ClientError, match="cannot be read: Is a directory"):
        read_idx(tmp_path, IMAGES)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a-idx3-ubyte", PIXELS)
    path.chmod(0)
    with pytest.raises(ClientError, match="cannot be read: Permission denied"):
        read_idx(path, IMAGES)


@given(
    whole=st.sampled_from([WHOLE, gzip.compress(WHOLE, mtime=0)]),
    changes=st.lists(st.tuples(st.integers(0, 39), st.integers(1, 255)), min_size=1, max_size=3),
)
def test_whatever_the_damage_there_are_pixels_or_a_client_error(
    whole: bytes, changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(whole)
    for position, difference in changes:
        damaged[position] ^= difference
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a-idx3-ubyte"
        path.write_bytes(damaged)
        with suppress(ClientError):
            assert read_idx(path, IMAGES).size == PIXELS.size
