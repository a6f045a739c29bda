"""NPZ files: their forms, splits and further columns, and what is said when they are no images."""

import io
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Skipped, read_all
from client_autoencoder.images.npz import find_npz_splits, open_npz, read_npz_column

GREY = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.uint8)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_an_npz_with_class_names(tmp_path: Path) -> None:
    data = save(
        tmp_path / "made.npz", images=GREY, labels=np.array([1, 0]), class_names=["CXR", "MRI"]
    )
    images = read_all(open_npz(data), [])
    assert images.labels == ["MRI", "CXR"]
    assert images.images[:, 0] == pytest.approx(GREY / 255)
    assert images.names == ["images[0]", "images[1]"]


def test_the_splits_of_an_npz(tmp_path: Path) -> None:
    data = save(
        tmp_path / "made.npz",
        train_images=GREY,
        train_labels=np.array(["a", "b"]),
        test_images=GREY[:1],
        test_labels=np.array([7]),
    )
    assert read_all(open_npz(data), []).labels == ["a", "b"]
    assert read_all(open_npz(data, "test"), []).labels == ["7"]
    with pytest.raises(ClientError, match="val_images; it has train_images"):
        open_npz(data, "val")


def test_an_npz_without_labels_is_unlabelled(tmp_path: Path) -> None:
    assert read_all(open_npz(save(tmp_path / "made.npz", images=GREY)), []).labels == [None] * 2


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param(GREY.astype(np.uint16) * 257, GREY / 255, id="16-bit"),
        pytest.param(GREY / 255, GREY / 255, id="float64"),
        pytest.param(GREY > 5, GREY > 5, id="bool"),
        pytest.param(GREY[:, None], GREY / 255, id="channel-first"),
        pytest.param(GREY[..., None], GREY / 255, id="channel-last"),
        pytest.param(np.repeat(GREY[..., None], 3, -1), GREY / 255, id="colour"),
    ],
)
def test_the_forms_of_an_array(tmp_path: Path, images: Any, expected: Any) -> None:
    loaded = read_all(open_npz(save(tmp_path / "made.npz", images=images)), [])
    assert loaded.images[:, 0] == pytest.approx(expected.astype(np.float32), abs=1e-6)


def test_pixels_outside_0_to_1_skip_their_image(tmp_path: Path) -> None:
    images = np.zeros((4, 3, 3), np.float32)
    images[1, 0, 0] = np.nan
    images[2, 0, 0] = 255
    skipped: list[Skipped] = []
    assert len(read_all(open_npz(save(tmp_path / "made.npz", images=images)), skipped)) == 2
    assert [image.name for image in skipped] == ["images[1]", "images[2]"]
    assert "0..1" in skipped[0].reason


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        pytest.param({"x": GREY}, "no array images or train_images; it has x", id="no-images"),
        pytest.param({"images": GREY[:0]}, r"shape \[0, 3, 4\]", id="none"),
        pytest.param({"images": GREY[0]}, r"shape \[3, 4\]", id="one-plane"),
        pytest.param({"images": np.array(["a"])}, "images are <U1", id="text"),
        pytest.param({"images": np.zeros((2, 3, 4, 2))}, "channel axis", id="two-channels"),
        pytest.param({"images": GREY, "labels": np.arange(3)}, "2 whole numbers", id="labels"),
        pytest.param({"images": GREY, "labels": np.zeros(2)}, "labels are float64", id="float"),
        pytest.param(
            {"images": GREY, "labels": np.array([0, 2]), "class_names": ["a", "b"]},
            "not a position in its 2 class_names",
            id="class-names",
        ),
        pytest.param(
            {"images": GREY, "labels": np.array([0, 0]), "class_names": "a"},
            r"class_names have the shape \[\], not \[classes\]",
            id="one-class-name",
        ),
        pytest.param({"images": GREY, "names": ["a"]}, "names are <U1 .*2 texts", id="names"),
        pytest.param({"images": GREY, "files": [["a"], ["b"]]}, "files are .*2, 1", id="files"),
        pytest.param({"images": GREY, "names": [1, 2]}, "names are int64", id="number-names"),
        pytest.param({"images": GREY, "files": [b"a", b"b"]}, r"files are \|S1", id="bytes"),
        pytest.param({"images": GREY, "files": np.array([None])}, "Object arrays", id="pickles"),
        pytest.param({"images": np.array([None])}, "Object arrays", id="pickle"),
    ],
)
def test_an_npz_that_is_no_set_of_images(
    tmp_path: Path, arrays: dict[str, Any], reason: str
) -> None:
    data = save(tmp_path / "made.npz", **arrays)
    with pytest.raises(ClientError, match=reason) as caught:
        open_npz(data)
    assert "made.npz" in str(caught.value)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, GREY)
    return buffer.getvalue()


def damaged_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=GREY)
    return buffer.getvalue().replace(b"\x00\x01\x02\x03", b"\x00\xff\x02\x03")[:-40]


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 cut", b"text", b"\x80\x04K\x01.", npy(), damaged_npz()],
    ids=["empty", "cut", "text", "pickle", "npy", "damaged"],
)
def test_a_file_that_is_no_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "made.npz"
    path.write_bytes(content)
    with pytest.raises(ClientError, match=r"made\.npz"):
        open_npz(path)


def test_a_missing_npz_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="No such file"):
        open_npz(tmp_path / "made.npz")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({}, ["test_images[0]", "test_images[1]"], id="none"),
        pytest.param({"test_files": ["CXR/1", "CXR/2"]}, ["CXR/1", "CXR/2"], id="files"),
        pytest.param({"test_names": ["p", "q"]}, ["p", "q"], id="names"),
        pytest.param({"test_names": ["p", "q"], "test_files": ["x", "y"]}, ["p", "q"], id="both"),
        pytest.param(
            {"files": ["x", "y"], "train_files": ["z"]},
            ["test_images[0]", "test_images[1]"],
            id="of-other-splits",
        ),
    ],
)
def test_what_the_images_are_called(
    tmp_path: Path, columns: dict[str, Any], expected: list[str]
) -> None:
    data = save(tmp_path / "made.npz", test_images=GREY, **columns)
    assert read_all(open_npz(data, "test"), []).names == expected


def test_a_further_column_or_none(tmp_path: Path) -> None:
    data = save(tmp_path / "made.npz", test_images=GREY, test_near_duplicate=[True, False])
    column = read_npz_column(data, "test_near_duplicate")
    assert column is not None
    assert column.tolist() == [True, False]
    assert read_npz_column(data, "train_near_duplicate") is None


def test_a_column_of_pickles_or_of_no_npz_is_an_error_in_words(tmp_path: Path) -> None:
    data = save(tmp_path / "made.npz", test_patients=np.array([None]))
    with pytest.raises(ClientError, match=r"made\.npz is not .* Object arrays"):
        read_npz_column(data, "test_patients")
    with pytest.raises(ClientError, match=r"absent\.npz cannot be read: No such file"):
        read_npz_column(tmp_path / "absent.npz", "test_patients")


def test_a_member_that_is_no_array_is_an_error_in_words(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "made.npz", "w") as archive:
        archive.writestr("images", b"text")
    with pytest.raises(ClientError, match=r"made\.npz .*: images is no array"):
        open_npz(tmp_path / "made.npz")


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [(8, 1, "encrypted"), (10, 99, "compression method")],
    ids=["encrypted", "unknown-packing"],
)
def test_an_archive_that_cannot_be_unpacked(
    tmp_path: Path, offset: int, value: int, reason: str
) -> None:
    data = save(tmp_path / "made.npz", images=GREY)
    content = bytearray(data.read_bytes())
    entry = content.index(b"PK\x01\x02")  # the central directory
    struct.pack_into("<H", content, entry + offset, value)
    data.write_bytes(content)
    with pytest.raises(ClientError, match=reason):
        open_npz(data)


@given(changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1))
@pytest.mark.filterwarnings("ignore")
def test_whatever_the_damage_there_is_a_source_or_a_client_error(
    changes: list[tuple[int, int]],
) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, images=GREY, labels=np.array(["a", "b"]), names=np.array(["x", "y"]))
    damaged = bytearray(buffer.getvalue())
    for position, difference in changes:
        damaged[position % len(damaged)] ^= difference
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.npz"
        path.write_bytes(damaged)
        with suppress(ClientError):
            source = open_npz(path)
            assert len(source.labels) == len(source)


def test_the_chest_images_of_train_and_test_share_no_patient(
    find_data: Callable[[str], Path],
) -> None:
    data = find_data("chest_xray.npz")
    train, test = (read_npz_column(data, f"{split}_patients") for split in ("train", "test"))
    assert train is not None
    assert test is not None
    assert len(train) == len(open_npz(data, "train")) > 0
    assert len(test) == len(open_npz(data, "test")) > 0
    assert set(train.tolist()).isdisjoint(test.tolist())


def test_medical_mnist_flags_its_near_duplicates_and_names_its_files(
    find_data: Callable[[str], Path],
) -> None:
    data = find_data("medical_mnist.npz")
    test = open_npz(data, "test")
    flags = read_npz_column(data, "test_near_duplicate")
    assert flags is not None
    assert flags.shape == (len(test),)
    assert flags.dtype == np.bool_
    assert 0 < flags.sum() < len(test)
    # a file lies in the folder of its class
    assert all(test.name_of(i).split("/")[0] == test.label(i) for i in range(len(test)))


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return save(
        tmp_path / "faces.npz",
        images=np.zeros((4, 2, 2), np.uint8),
        gender=np.array([0, 1, 1, 0]),
        gender_names=np.array(["female", "male"]),
        speaker=np.array([7, 7, 8, 9]),
        attributes=np.array([[0, 1], [1, 1], [0, 0], [1, 0]]),
        attribute_names=np.array(["Smiling", "Young"]),
        split=np.array([0, 0, 1, 0]),
        split_names=np.array(["train", "test"]),
    )


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        ("gender", ["female", "male", "male", "female"]),
        ("speaker", ["7", "7", "8", "9"]),
        ("Young", ["Young", "Young", "not Young", "not Young"]),
        ("labels", [None] * 4),
        ("split", ["train", "train", "test", "train"]),
    ],
)
def test_a_column_may_hold_the_labels(faces: Path, column: str, labels: list[str | None]) -> None:
    assert read_all(open_npz(faces, label_column=column), []).labels == labels


def test_a_column_may_name_the_split(faces: Path) -> None:
    assert find_npz_splits(faces) == {"train", "test"}
    test = open_npz(faces, "test", "gender")
    assert (len(test), test.label(0), test.name_of(0)) == (1, "male", "images[2]")
    assert len(open_npz(faces, "train")) == 3


def test_a_column_that_is_missing_is_named_beside_those_that_are_there(faces: Path) -> None:
    with pytest.raises(ClientError, match=r"no column age; it has images, gender.*Smiling, Young"):
        open_npz(faces, label_column="age")
