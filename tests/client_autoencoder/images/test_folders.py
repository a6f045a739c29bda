"""Folders of images: class names, splits, and what is passed over."""

from pathlib import Path

import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Skipped, read_all
from client_autoencoder.images.folders import find_folder_splits, open_folder
from tests.support.images import draw_images, write_class_folders, write_image


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """A folder with ``train`` of six images, ``test`` of three and ``val`` of one."""
    for count, split in ((6, "train"), (3, "test"), (1, "val")):
        write_class_folders(tmp_path / "set" / split, draw_images(count))
    return tmp_path / "set"


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
def test_folder_names_are_labels(tmp_path: Path, suffix: str) -> None:
    batch = draw_images(9, side=16)
    write_class_folders(tmp_path / "set", batch, suffix)
    source = open_folder(tmp_path / "set")
    images = read_all(source, [])
    assert source.name == "set"
    assert images.labels == ["bar"] * 3 + ["ring"] * 3 + ["square"] * 3
    assert images.images[0, 0] == pytest.approx(batch.images[0, 0], abs=0.1)


def test_other_files_in_a_class_folder_are_skipped_and_hidden_ones_ignored(tmp_path: Path) -> None:
    write_class_folders(tmp_path, draw_images(6))
    for name in ("notes.txt", ".DS_Store", "Thumbs.db"):
        (tmp_path / "bar" / name).write_text("text")
    (tmp_path / "README.md").write_text("beside the class folders")
    skipped: list[Skipped] = []
    assert len(read_all(open_folder(tmp_path), skipped)) == 6
    assert [Path(image.name).name for image in skipped] == ["notes.txt"]


def test_a_folder_of_images_takes_one_label_or_none(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, draw_images(1).images[0, 0])
    assert read_all(open_folder(tmp_path), []).labels == [None, None]
    assert read_all(open_folder(tmp_path, "bar"), []).labels == ["bar", "bar"]


def test_a_label_beside_class_folders_is_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path, draw_images(3))
    with pytest.raises(ClientError, match="drop --label"):
        open_folder(tmp_path, "bar")


def test_a_folder_of_nothing_and_one_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="holds no image"):
        open_folder(tmp_path)
    with pytest.raises(ClientError, match="absent cannot be read: No such file"):
        open_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("split", "count"), [("train", 6), ("test", 3), ("val", 1), (None, 6), ("", 6)]
)
def test_the_split_chooses_a_folder_and_without_one_it_is_train(
    divided: Path, split: str | None, count: int
) -> None:
    source = open_folder(divided, split=split)
    assert len(source) == count
    assert source.name == "set"
    assert set(source.labels) <= {"bar", "ring", "square"}
    assert {path.parents[1].name for path in source.paths} == {split or "train"}


def test_a_split_without_classes_takes_a_label(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_image(tmp_path / split / "a.png", draw_images(1).images[0, 0])
    assert open_folder(tmp_path, "bar", "test").labels == ["bar"]


@pytest.mark.parametrize("split", ["tset", "Train", "../set", "..", ".", "bar/.."])
def test_a_split_that_is_no_folder_names_those_there_are(divided: Path, split: str) -> None:
    with pytest.raises(ClientError, match=r"has no folder .*: test, train, val\. .*drop --split"):
        open_folder(divided, split=split)


def test_many_folders_are_not_all_named(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"person{number:02d}").mkdir()
    with pytest.raises(ClientError, match=r"person07, \.\.\.\. Name"):
        open_folder(tmp_path, split="test")


def test_a_folder_without_folders_has_no_split(tmp_path: Path) -> None:
    (tmp_path / "test").write_text("a file of that name")
    with pytest.raises(ClientError, match="folders in it: none"):
        open_folder(tmp_path, split="test")


def test_train_alone_is_a_class_like_any_other(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        write_image(tmp_path / name / "a.png", draw_images(1).images[0, 0])
    assert find_folder_splits(tmp_path) == set()
    assert open_folder(tmp_path).labels == ["bus", "train"]
