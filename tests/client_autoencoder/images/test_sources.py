"""One word or path opens every kind of source, its splits listed and asked for the same way."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import read_all
from client_autoencoder.images.sources import list_splits, open_source
from tests.support.idx import write_idx
from tests.support.images import draw_images, write_class_folders, write_image

GREY = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.uint8)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def make_npz(folder: Path) -> Path:
    """Write two images for training and one for the test."""
    return save(folder / "made.npz", train_images=GREY, test_images=GREY[:1])


def make_idx(folder: Path) -> Path:
    write_idx(folder / "idx" / "train-images-idx3-ubyte.gz", GREY)
    write_idx(folder / "idx" / "t10k-images-idx3-ubyte", GREY[:1])
    return folder / "idx"


def make_folders(folder: Path) -> Path:
    write_class_folders(folder / "set" / "train", draw_images(2))
    write_class_folders(folder / "set" / "test", draw_images(1))
    return folder / "set"


def make_undivided_npz(folder: Path) -> Path:
    return save(folder / "made.npz", images=GREY)


def make_undivided_idx(folder: Path) -> Path:
    return write_idx(folder / "idx" / "images-idx3-ubyte", GREY).parent


def make_idx_file(folder: Path) -> Path:
    return write_idx(folder / "train-images-idx3-ubyte", GREY)


def make_class_folders(folder: Path) -> Path:
    write_class_folders(folder / "set", draw_images(2))
    return folder / "set"


def make_image(folder: Path) -> Path:
    return write_image(folder / "a.png", draw_images(1).images[0, 0])


divided = pytest.mark.parametrize("make", [make_npz, make_idx, make_folders])
undivided = pytest.mark.parametrize(
    "make",
    [make_undivided_npz, make_undivided_idx, make_idx_file, make_class_folders, make_image],
)


@divided
def test_a_divided_source_lists_its_splits_and_opens_each(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    data = str(make(tmp_path))
    assert list_splits(data) == ("train", "test")
    assert [len(open_source(data, split=split)) for split in ("train", "test")] == [2, 1]
    assert len(open_source(data)) == 2


@undivided
def test_an_undivided_source_has_no_splits_and_says_so_when_asked_for_one(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    data = str(make(tmp_path))
    assert list_splits(data) == ()
    assert len(open_source(data)) > 0
    with pytest.raises(ClientError, match="test") as caught:
        open_source(data, split="test")
    assert data in str(caught.value)


@divided
def test_a_split_no_source_has(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    data = str(make(tmp_path))
    with pytest.raises(ClientError, match="val") as caught:
        open_source(data, split="val")
    assert data in str(caught.value)


def test_the_split_that_is_there_is_listed_alone(tmp_path: Path) -> None:
    assert list_splits(str(save(tmp_path / "made.npz", test_images=GREY))) == ("test",)
    write_idx(tmp_path / "train-images-idx3-ubyte", GREY)
    assert list_splits(str(tmp_path)) == ("train",)


def test_the_digits_are_1797_labelled_images_in_0_to_1() -> None:
    pytest.importorskip("sklearn")
    source = open_source("digits")
    images = read_all(source, [])
    assert images.images.shape == (1797, 1, 8, 8)
    assert (images.images.min(), images.images.max()) == (0.0, 1.0)
    assert images.labels[:3] == ["0", "1", "2"]
    assert source.name == "digits"


def test_the_digits_are_not_divided() -> None:
    pytest.importorskip("sklearn")
    assert list_splits("digits") == ()
    with pytest.raises(ClientError, match=r"digits is not divided .* drop --split"):
        open_source("digits", split="train")


def test_digits_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ClientError, match=r"\[demo\]"):
        open_source("digits")


def test_a_single_file(tmp_path: Path) -> None:
    path = make_image(tmp_path)
    images = read_all(open_source(str(path), label="bar"), [])
    assert (images.labels, images.names) == (["bar"], [str(path)])


def test_a_file_of_labels_is_no_source(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(3))
    with pytest.raises(ClientError, match=r"1 dimensions; .* train-images-idx3-ubyte"):
        open_source(str(path))


def test_a_folder_may_be_named_as_a_file_is(tmp_path: Path) -> None:
    folder = tmp_path / "train-images-idx3-ubyte"
    write_idx(folder / folder.name, GREY)
    assert len(open_source(str(folder))) == 2


@pytest.mark.parametrize(
    "name", ["absent", "absent.png", "a-images-idx3-ubyte.gz", "x" * 300, "nul\0"]
)
def test_a_missing_source_is_an_error_in_words(tmp_path: Path, name: str) -> None:
    data = str(tmp_path / name)
    for look in (open_source, list_splits):
        with pytest.raises(ClientError, match="neither a file nor a folder"):
            look(data)


def test_a_missing_npz_is_an_error_in_words(tmp_path: Path) -> None:
    for look in (open_source, list_splits):
        with pytest.raises(ClientError, match=r"absent\.npz cannot be read: No such file"):
            look(str(tmp_path / "absent.npz"))


def test_an_empty_folder_holds_no_image(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="holds no image"):
        open_source(str(tmp_path))
