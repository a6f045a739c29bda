"""Batches of images: resized, in order, and without the ones that cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import (
    ImageBatch,
    Skipped,
    join_batches,
    read_all,
    read_batches,
    too_many_skipped,
)
from client_autoencoder.images.folders import FileSource, open_folder
from schemas.models.network_manifest import ImageInput
from tests.support.images import draw_images, write_class_folders, write_image


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    write_class_folders(tmp_path, draw_images(30, side=12))
    return open_folder(tmp_path)


def break_file(source: FileSource, index: int) -> str:
    source.paths[index].write_bytes(b"not an image")
    return str(source.paths[index])


def test_batches_hold_every_image_once_in_order(source: FileSource) -> None:
    batches = list(read_batches(source, [], batch_size=7))
    assert [len(batch) for batch in batches] == [7, 7, 7, 7, 2]
    assert batches[0].images.shape == (7, 1, 12, 12)
    assert batches[0].images.dtype == np.float32
    names = [name for batch in batches for name in batch.names]
    assert names == [str(path) for path in source.paths]
    assert batches[0].labels == ["bar"] * 7


def test_a_broken_file_is_listed_and_its_neighbours_stay(source: FileSource) -> None:
    broken = break_file(source, 3)
    skipped: list[Skipped] = []
    images = read_all(source, skipped)
    assert skipped == [Skipped(broken, "is neither PNG nor JPEG inside")]
    assert len(images) == 29
    assert broken not in images.names
    assert len(images.labels) == len(images.images) == 29


def test_images_are_read_only_when_their_batch_is_taken(source: FileSource) -> None:
    batches = read_batches(source, [], batch_size=5)
    next(batches)
    skipped_later = break_file(source, 29)
    skipped: list[Skipped] = []
    assert sum(map(len, read_batches(source, skipped))) == 29
    assert [image.name for image in skipped] == [skipped_later]


def test_every_image_gets_the_size_asked_for(source: FileSource, tmp_path: Path) -> None:
    write_image(tmp_path / "bar" / "wide.png", np.ones((5, 40), np.float32))
    images = read_all(open_folder(tmp_path), [], wanted=ImageInput(1, 8, 10))
    assert images.images.shape == (31, 1, 8, 10)


def test_without_a_size_the_first_image_rules(source: FileSource, tmp_path: Path) -> None:
    odd = write_image(tmp_path / "square" / "odd.png", np.ones((5, 40), np.float32))
    skipped: list[Skipped] = []
    images = read_all(open_folder(tmp_path), skipped)
    assert images.images.shape == (30, 1, 12, 12)
    assert [image.name for image in skipped] == [str(odd)]
    assert "5x40" in skipped[0].reason
    assert "--size" in skipped[0].reason


def test_a_chosen_order_is_kept(source: FileSource) -> None:
    images = read_all(source, [], order=[20, 4])
    assert images.names == [str(source.paths[20]), str(source.paths[4])]


def test_a_selection_keeps_what_belongs_to_each_image() -> None:
    made = draw_images(3)
    batch = ImageBatch(made.images, made.labels, made.names, ["a", "a", "b"])
    chosen = batch.select([2, 0])
    assert np.array_equal(chosen.images, made.images[[2, 0]])
    assert (chosen.labels, chosen.names) == (["square", "bar"], ["made[2]", "made[0]"])
    assert chosen.image_ids == ["b", "a"]
    assert made.select([1]).image_ids is None


def test_an_image_and_its_copies_are_counted_once() -> None:
    made = draw_images(3)
    assert made.distinct == 3
    assert ImageBatch(made.images, made.labels, made.names, ["a", "a", "b"]).distinct == 2


def test_no_readable_image_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    with pytest.raises(ClientError, match=r"no image of pair could be read; .*a\.png: is neither"):
        read_all(FileSource("pair", [path, path], [None, None]), [])


@pytest.mark.parametrize(
    ("skipped", "total", "max_skip", "too_many"),
    [
        (0, 100, 0.0, False),
        (2, 100, 0.02, False),
        (3, 100, 0.02, True),
        (1, 10, 0.02, True),
        (10, 10, 1.0, False),
    ],
)
def test_more_than_the_share_is_too_many(
    skipped: int, total: int, max_skip: float, too_many: bool
) -> None:
    assert too_many_skipped(skipped, total, max_skip) is too_many


def test_joined_batches_hold_the_same_images_in_their_order() -> None:
    whole = draw_images(600)
    order = np.arange(600)
    batches = [whole.select(order[start : start + 64]) for start in range(0, 600, 64)]
    joined = list(join_batches(batches))
    assert [len(batch) for batch in joined] == [256, 256, 88]
    assert [name for batch in joined for name in batch.names] == whole.names
    assert [label for batch in joined for label in batch.labels] == whole.labels
    assert np.array_equal(np.concatenate([batch.images for batch in joined]), whole.images)
    assert [batch.image_ids for batch in joined] == [None] * 3


def test_joined_copies_keep_the_id_of_their_image() -> None:
    image = draw_images(1)
    copies = [ImageBatch(image.images, image.labels, image.names, [name]) for name in ("a", "b")]
    (joined,) = join_batches(copies)
    assert joined.image_ids == ["a", "b"]


def test_batches_of_large_images_stay_apart() -> None:
    large = ImageBatch(np.zeros((1, 1, 2048, 2048), np.float32), [None], ["a"])
    assert [len(batch) for batch in join_batches([large] * 3)] == [1, 1, 1]
