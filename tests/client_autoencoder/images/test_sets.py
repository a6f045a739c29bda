"""Splits are disjoint, stratified and fixed by their seed; the digest is of the set."""

from collections import Counter

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.images.arrays import ArraySource
from client_autoencoder.images.sets import digest, draw, split, stratified_order
from tests.support.images import draw_images

LABELS = ["a"] * 600 + ["b"] * 300 + ["c"] * 60


def test_every_slice_holds_the_classes_in_their_shares() -> None:
    order = stratified_order(LABELS, np.random.default_rng(0))
    assert sorted(order) == list(range(960))
    for start in range(0, 960, 96):
        count = Counter(LABELS[index] for index in order[start : start + 96])
        assert count["a"] == pytest.approx(60, abs=1)
        assert count["b"] == pytest.approx(30, abs=1)
        assert count["c"] == pytest.approx(6, abs=1)


def test_splits_are_disjoint_and_complete() -> None:
    images = draw_images(100)
    splits = split(images, [30, 20, 20], np.random.default_rng(1))
    assert [len(batch) for batch in splits] == [30, 20, 20, 30]
    assert sorted(name for batch in splits for name in batch.names) == sorted(images.names)
    position = int(splits[1].names[4].removeprefix("made[").removesuffix("]"))
    assert np.array_equal(splits[1].images[4], images.images[position])
    assert splits[1].labels[4] == images.labels[position]


def test_the_seed_decides() -> None:
    first, again, other = (
        split(draw_images(60), [20], np.random.default_rng(seed))[0].names for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_too_few_images_for_the_splits() -> None:
    with pytest.raises(ClientError, match="101 images are needed for the splits, 100 are there"):
        split(draw_images(100), [60, 41], np.random.default_rng(0))


def test_a_limited_draw_holds_every_class() -> None:
    source = ArraySource("made", np.zeros((960, 2, 2)), LABELS, 1.0)
    chosen = draw(source, 96, np.random.default_rng(0))
    assert len(set(chosen)) == 96
    assert Counter(LABELS[index] for index in chosen)["c"] == pytest.approx(6, abs=1)
    assert draw(source, None, np.random.default_rng(0)) == list(range(960))


def test_the_digest_is_of_the_set() -> None:
    images = draw_images(20).images
    changed = images.copy()
    changed[3, 0, 0, 0] += 0.01
    assert digest(images[::-1]) == digest(images)
    assert digest(changed) != digest(images)
    assert digest(images[1:]) != digest(images)
    assert digest(images.reshape(20, 1, 4, 16)) != digest(images)
