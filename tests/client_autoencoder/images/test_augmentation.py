"""Changed copies: within their bounds, from the right image, and reproducible."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from client_autoencoder.images.augmentation import Augmentation, augment, augment_batches
from client_autoencoder.images.batches import ImageBatch
from tests.support.images import draw_images

NOTHING = Augmentation(rotation=0, shift=0, scale=0, elastic=0)
MANY = 300  # copies, more than are worked on at a time


def draw_disc(side: int, row: float, column: float, radius: float) -> NDArray[np.float32]:
    """Return one image [1, 1, side, side] of a disc with a soft rim."""
    rows, columns = np.indices((side, side))
    distance = np.hypot(rows - row, columns - column)
    return np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)[None, None]


def find_centres(copies: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the centres of mass [copies, 2] of the one image's copies, from the middle."""
    side = copies.shape[-1]
    place = np.indices((side, side)) - (side - 1) / 2
    mass = copies[0, :, 0].astype(np.float64)
    moments = np.einsum("khw,ahw->ka", mass, place)
    return np.asarray(moments / mass.sum(axis=(1, 2))[:, None])


def change(image: NDArray[np.float32], options: Augmentation) -> NDArray[np.float32]:
    return augment(image, MANY, np.random.default_rng(1), options)


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (5, 31), (1, 2)])
def test_copies_have_the_size_of_their_image_and_stay_in_range(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).random((3, 1, *size), np.float32)
    copies = augment(images, 4, np.random.default_rng(0))
    assert copies.shape == (3, 4, 1, *size)
    assert copies.dtype == np.float32
    assert 0 <= copies.min() < copies.max() <= 1


def test_a_seed_gives_the_same_copies_and_no_two_alike() -> None:
    images = draw_images(2, side=12).images
    first, again, other = (augment(images, 5, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).all(axis=(2, 3, 4)).any()
    assert len(np.unique(first.reshape(10, -1), axis=0)) == 10


def test_without_any_change_a_copy_is_its_image() -> None:
    images = np.random.default_rng(0).random((3, 1, 28, 17), np.float32)
    copies = augment(images, 2, np.random.default_rng(0), NOTHING)
    assert np.abs(copies - images[:, None]).max() < 1e-6


def test_no_copies_are_an_empty_array() -> None:
    assert augment(draw_images(3).images, 0, np.random.default_rng(0)).shape == (3, 0, 1, 8, 8)


def test_every_copy_is_of_its_own_image() -> None:
    images = np.stack([np.zeros((1, 28, 28)), np.ones((1, 28, 28))]).astype(np.float32)
    black, white = augment(images, MANY, np.random.default_rng(0))
    assert black.max() == 0
    assert white[:, :, 10:18, 10:18].min() > 0.99


def test_a_centred_disc_stays_in_the_middle_and_keeps_its_mass() -> None:
    disc = draw_disc(28, 13.5, 13.5, 6)
    copies = change(disc, Augmentation(shift=0))
    assert np.abs(find_centres(copies).mean(axis=0)).max() < 0.15
    masses = copies[0].sum(axis=(1, 2, 3)) / disc.sum()
    assert masses.mean() == pytest.approx(1, abs=0.04)
    assert np.quantile(masses, [0.05, 0.95]) == pytest.approx(1, abs=0.4)


def test_a_shift_moves_at_most_its_share_and_in_all_directions() -> None:
    centres = find_centres(change(draw_disc(28, 13.5, 13.5, 4), Augmentation(0, 0.06, 0, 0)))
    farthest = 0.06 * 28
    assert centres.max(axis=0) == pytest.approx(farthest, abs=0.1)
    assert centres.min(axis=0) == pytest.approx(-farthest, abs=0.1)
    assert np.abs(centres).max() <= farthest + 1e-3
    assert abs(np.atleast_2d(np.corrcoef(centres.T))[0, 1]) < 0.2


def test_a_rotation_keeps_the_distance_and_turns_at_most_its_degrees() -> None:
    centres = find_centres(change(draw_disc(28, 13.5, 21.5, 3), Augmentation(12, 0, 0, 0)))
    assert np.hypot(*centres.T) == pytest.approx(8, abs=0.05)
    degrees = np.degrees(np.arctan2(*centres.T))
    assert np.abs(degrees).max() <= 12.1
    assert degrees.max() == pytest.approx(12, abs=0.5)
    assert degrees.min() == pytest.approx(-12, abs=0.5)


def test_a_scale_grows_and_shrinks_by_its_share() -> None:
    disc = draw_disc(28, 13.5, 13.5, 7)
    masses = change(disc, Augmentation(0, 0, 0.12, 0))[0].sum(axis=(1, 2, 3)) / disc.sum()
    assert np.sqrt(masses.max()) == pytest.approx(1.12, abs=0.01)
    assert np.sqrt(masses.min()) == pytest.approx(0.88, abs=0.01)


@pytest.mark.parametrize("place", [(13.5, 13.5), (3.0, 24.0)])
def test_an_elastic_displacement_has_its_deviation_everywhere(place: tuple[float, float]) -> None:
    dot = draw_disc(28, *place, 1)
    moved = find_centres(change(dot, Augmentation(0, 0, 0, 0.03))) - find_centres(dot[None])
    # A dot is wider than a point, so that its parts move a little less as one.
    assert moved.std(axis=0) == pytest.approx(0.03 * 28, rel=0.2)
    assert np.abs(moved.mean(axis=0)).max() < 0.2


def test_what_comes_from_outside_the_image_is_black() -> None:
    white = np.ones((1, 1, 8, 8), np.float32)
    copies = change(white, Augmentation(0, 0.3, 0, 0))[0, :, 0]
    moved_right = copies[copies[:, 4, 0] == 0]
    assert len(moved_right) > MANY / 10
    assert (moved_right[:, 4, 7] == 1).all()
    assert (copies[:, 4, 4] == 1).all()


def test_a_batch_holds_every_image_followed_by_its_copies() -> None:
    batches = [draw_images(2, seed=0), draw_images(3, seed=1)]
    ids = (f"id-{number}" for number in range(9))
    rng = np.random.default_rng(0)
    first, second = augment_batches(batches, 2, rng, lambda: next(ids))
    assert (len(first), first.distinct, len(second), second.distinct) == (6, 2, 9, 3)
    assert np.array_equal(second.images[::3], batches[1].images)
    assert not np.isclose(second.images[1::3], batches[1].images).all(axis=(1, 2, 3)).any()
    assert second.names == [name for name in batches[1].names for _ in range(3)]
    assert second.labels == [label for label in batches[1].labels for _ in range(3)]
    assert first.image_ids == ["id-0"] * 3 + ["id-1"] * 3
    assert second.image_ids == ["id-2"] * 3 + ["id-3"] * 3 + ["id-4"] * 3


def test_batches_are_read_and_changed_one_at_a_time() -> None:
    taken = []

    def read() -> Iterator[ImageBatch]:
        for number in range(3):
            taken.append(number)
            yield draw_images(1)

    augmented = augment_batches(read(), 1, np.random.default_rng(0), lambda: "id")
    next(augmented)
    assert taken == [0]
