"""Who gets which images: nothing of the test is learned from, and a seed repeats itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from ioa.errors import SettingsError
from ioa.research.papers.one_shot_latents.division import Division, divide
from ioa.research.papers.one_shot_latents.plan import Plan

CLASSES = 4


def write_set(path: Path, train: int, test: int = 0, **more: object) -> str:
    """Write images of 4x4 pixels that all differ, so that each can be told from the others."""
    count = train + test
    grey = np.arange(count, dtype=np.uint32)
    images = np.zeros((count, 4, 4), np.uint8)
    images[:, 0, 0], images[:, 0, 1], images[:, 0, 2] = grey % 256, grey // 256 % 256, grey // 65536
    labels = grey % CLASSES
    arrays = {"train_images": images[:train], "train_labels": labels[:train]}
    if test:
        arrays |= {"test_images": images[train:], "test_labels": labels[train:]}
    else:
        arrays = {"images": images, "labels": labels}
    np.savez(path, **arrays, **more)  # type: ignore[arg-type]
    return str(path)


def identify(batch: ImageBatch) -> set[bytes]:
    return {pixels.tobytes() for pixels in batch.images}


def all_parts(division: Division) -> list[ImageBatch]:
    parts = division.parts
    return [parts.public, *parts.clients, parts.unseen]


@pytest.mark.parametrize("non_iid", [False, True])
@pytest.mark.parametrize("test", [0, 300])
def test_no_image_is_in_two_parts(tmp_path: Path, test: int, non_iid: bool) -> None:
    data = write_set(tmp_path / "made.npz", 1200, test)
    parts = all_parts(divide(Plan(data, non_iid=non_iid), seed=0))
    images = [identify(part) for part in parts]
    assert sum(map(len, images)) == len(set.union(*images)) == sum(map(len, parts))
    assert all(len(part) > 50 for part in parts)


def test_the_test_split_of_a_source_is_the_test_and_nothing_else(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 1200, 300)
    division = divide(Plan(data), seed=3)
    tests = np.load(data)["test_images"].astype(np.float32) / 255
    assert identify(division.parts.unseen) == {image[None].tobytes() for image in tests}


def test_a_large_source_gives_the_papers_numbers(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 10_500, 2000)
    division = divide(Plan(data), seed=0)
    assert len(division.parts.public) == 5000
    assert [len(client) for client in division.parts.clients] == [1000] * 5
    assert {name: len(positions) for name, positions in division.subsets.items()} == {
        "1,000 unseen": 1000,
        "whole test set": 2000,
    }


def test_the_unseen_images_of_the_papers_test_come_from_every_client(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 1000, 2000)
    positions = divide(Plan(data), seed=0).subsets["1,000 unseen"]
    assert np.bincount(positions // 400).tolist() == [200] * 5


def test_two_classes_per_client_and_all_classes_among_them(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 1200, 100)
    division = divide(Plan(data, non_iid=True), seed=0)
    held = [set(client.labels) for client in division.parts.clients]
    assert [len(labels) for labels in held] == [2] * 5
    assert set.union(*held) == {"0", "1", "2", "3"}
    assert len(set(division.parts.unseen.labels)) == CLASSES


def test_a_seed_repeats_itself_and_another_does_not(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 600)
    first, again, other = (divide(Plan(data), seed) for seed in (0, 0, 1))
    for part, same in zip(all_parts(first), all_parts(again), strict=True):
        assert (part.images == same.images).all()
    assert identify(first.parts.clients[0]) != identify(other.parts.clients[0])


def test_the_test_set_is_the_same_for_every_seed(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 600)
    first, other = (divide(Plan(data), seed).parts.unseen for seed in (0, 1))
    assert identify(first) == identify(other)
    assert not (first.images == other.images).all()


def test_flagged_near_duplicates_are_left_out_of_subsets_of_their_own(tmp_path: Path) -> None:
    flags = np.arange(300) % 10 == 0
    data = write_set(tmp_path / "made.npz", 600, 300, test_near_duplicate=flags)
    division = divide(Plan(data), seed=0)
    kept = division.subsets["300 unseen, near duplicates left out"]
    tests = np.load(data)["test_images"].astype(np.float32) / 255
    flagged = {image[None].tobytes() for image in tests[flags]}
    assert len(kept) == 270
    assert not identify(division.parts.unseen.select(kept)) & flagged


def test_patients_in_training_and_test_are_counted(tmp_path: Path) -> None:
    data = write_set(
        tmp_path / "made.npz",
        600,
        100,
        train_patients=np.array([f"p{number // 2}" for number in range(600)]),
        test_patients=np.array([f"p{number + 298}" for number in range(100)]),
    )
    assert divide(Plan(data), seed=0).facts["patients_in_training_and_test"] == 2


def test_a_source_too_small_says_how_many_images_are_needed(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 40)
    with pytest.raises(ClientError, match="needs 60 images, not 40"):
        divide(Plan(data), seed=0)


def test_unlabelled_images_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "made.npz", images=np.zeros((80, 4, 4), np.uint8))
    with pytest.raises(ClientError, match="has no label"):
        divide(Plan(str(tmp_path / "made.npz")), seed=0)


def test_an_unlabelled_test_is_refused(tmp_path: Path) -> None:
    images = np.zeros((80, 4, 4), np.uint8)
    labels = np.arange(80) % 3
    path = tmp_path / "made.npz"
    np.savez(path, train_images=images, train_labels=labels, test_images=images)
    with pytest.raises(ClientError, match=r"test_images\[0\] has no label"):
        divide(Plan(str(path)), seed=0)


def test_flags_that_do_not_fit_the_test_are_refused(tmp_path: Path) -> None:
    data = write_set(tmp_path / "made.npz", 600, 100, test_near_duplicate=np.zeros(99, bool))
    with pytest.raises(ClientError, match=r"shape \[99\], not \[100\]"):
        divide(Plan(data), seed=0)


def test_more_classes_than_the_clients_can_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    np.savez(path, images=np.zeros((600, 4, 4), np.uint8), labels=np.arange(600) % 11)
    with pytest.raises(ClientError, match="11 classes are more than"):
        divide(Plan(str(path), non_iid=True), seed=0)


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (Plan("digits", latent=16, dtype="int8"), "003-digits-16-int8"),
        (Plan("x/MNIST v.2.npz", augment=10), "003-mnist-v.2-784-float32-augment10"),
        (Plan("mnist.npz", size=20, non_iid=True), "003-mnist-784-float32-20px-non-iid"),
    ],
)
def test_a_result_is_called_after_its_plan(plan: Plan, name: str) -> None:
    assert plan.name == name


def test_a_grid_for_five_classifiers_is_refused() -> None:
    with pytest.raises(SettingsError, match="--grid"):
        Plan("digits", grid=True, encoder="own")


@pytest.mark.parametrize("non_iid", [False, True])
def test_mnist_is_divided_as_in_the_paper(find_data: Callable[[str], Path], non_iid: bool) -> None:
    division = divide(Plan(str(find_data("mnist.npz")), non_iid=non_iid), seed=0)
    assert [len(part) for part in all_parts(division)] == [5000, *[1000] * 5, 10_000]
    assert len(set(division.parts.clients[0].labels)) == (2 if non_iid else 10)


def test_medical_images_are_resized_and_have_near_duplicates(
    find_data: Callable[[str], Path],
) -> None:
    division = divide(Plan(str(find_data("medical_mnist.npz")), size=28), seed=0)
    assert division.parts.unseen.images.shape == (3000, 1, 28, 28)
    assert len(division.subsets["whole test set, near duplicates left out"]) == 2948


def test_chest_images_of_one_patient_are_on_one_side(find_data: Callable[[str], Path]) -> None:
    division = divide(Plan(str(find_data("chest_xray.npz"))), seed=0)
    assert division.facts["patients_in_training_and_test"] == 0
