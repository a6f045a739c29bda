"""Which images of a source may be learned from, and which are the test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.exchanges.learning import check_labels
from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped, read_all
from client_autoencoder.images.sets import stratified_order
from client_autoencoder.images.sources import list_splits, open_source
from ioa.research.lab.parts import choose_input
from schemas.models.network_manifest import ImageInput

UNSEEN = 1000
"""Test images of a source without a test split of its own, unless that is more than 2 of 9."""

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Divided:
    """Two sources, which may be the same, and positions in each; every image has a label."""

    learnable: ImageSource
    learned: Positions
    tests: ImageSource
    asked: Positions


def divide_source(data: str, *, fewest: int, fewest_tests: int) -> Divided:
    """Open a source; its test set is its own, or a stratified draw that no seed changes.

    Raises:
        ClientError: images are too few, or not labelled with two classes at least.
    """
    if "test" in list_splits(data):
        source, tests = open_source(data, split="train"), open_source(data, split="test")
        learned, asked = np.arange(len(source)), np.arange(len(tests))
    else:
        source = tests = open_source(data)
        labels = [source.label(index) for index in range(len(source))]
        order = stratified_order(labels, np.random.default_rng(0))
        asked, learned = np.split(order, [min(UNSEEN, len(source) * 2 // 9)])
    _check(source, fewest)
    _check(tests, fewest_tests)
    return Divided(source, learned, tests, asked)


def choose_size(source: ImageSource, order: Positions, side: int | None) -> ImageInput:
    """Return what images are read as: so many pixels a side, or what ``choose_input`` chooses."""
    return ImageInput(1, side, side) if side else choose_input(source, order)


def read_images(source: ImageSource, positions: Positions, wanted: ImageInput) -> ImageBatch:
    """Read images of a source in this order, all of them.

    Raises:
        ClientError: an image cannot be read.
    """
    skipped: list[Skipped] = []
    images = read_all(source, skipped, wanted=wanted, order=positions.tolist())
    if skipped:
        raise ClientError(
            f"{len(skipped)} images of {source.name} cannot be read, the first: "
            f"{skipped[0].name}: {skipped[0].reason}. Take them out: an experiment needs to know "
            "its images"
        )
    return images


def _check(source: ImageSource, fewest: int) -> None:
    if len(source) < fewest:
        raise ClientError(f"{source.name}: the experiment needs {fewest} images, not {len(source)}")
    check_labels(source, range(len(source)))
    if len({source.label(index) for index in range(len(source))}) < 2:
        raise ClientError(f"{source.name}: the experiment needs labels of at least two classes")
