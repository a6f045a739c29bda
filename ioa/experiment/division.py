"""Who gets which images: the encoder, five clients, and the test that nobody learns from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.image_sets import stratified_order
from client_autoencoder.image_sources import list_splits, open_source, read_npz_column
from client_autoencoder.images import ImageBatch, ImageSource, Size, Skipped, read_all
from ioa.experiment.plan import Plan
from ioa.local.parts import CLIENTS, Parts, choose_size

PUBLIC = 5000  # images of the encoder; the paper does not say on what it trained its own
PER_CLIENT = 1000
UNSEEN = 1000
CLASSES_PER_CLIENT = 2
_FEWEST_IMAGES = 60

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Division:
    """The parts, and which of the unseen images count for which table.

    Attributes:
        parts: their ``unseen`` is the whole test set.
        subsets: positions in it by name. ``1,000 unseen`` is the paper's test, the same number
            from each client; ``whole test set`` stands only where there is more.
        facts: what else the data says about itself.
    """

    parts: Parts
    subsets: dict[str, Positions]
    facts: dict[str, Any]


def divide(plan: Plan, seed: int) -> Division:
    """Read a source and divide it; the same seed gives the same parts.

    A source with a test split keeps it. The rest goes to the encoder (public) and the clients; a
    source too small for the paper's numbers is divided in about their shares.

    Raises:
        ClientError: images are too few, unlabelled or unreadable.
    """
    rng = np.random.default_rng(seed)
    divided = "test" in list_splits(plan.data)
    source = open_source(plan.data, split="train" if divided else None)
    _check(source)
    order = stratified_order([source.label(index) for index in range(len(source))], rng)
    if divided:
        tests = open_source(plan.data, split="test")
        asked = rng.permutation(len(tests))
    else:
        tests, count = source, min(UNSEEN, len(source) * 2 // 9)
        asked, order = order[:count], order[count:]
    public, clients = _share(source, order, plan.non_iid)
    size = (plan.size, plan.size) if plan.size else choose_size(source, order)
    skipped: list[Skipped] = []

    def read(of: ImageSource, positions: Positions) -> ImageBatch:
        return read_all(of, skipped, size=size, order=positions.tolist())

    unseen = read(tests, asked)
    parts = Parts(
        plan.source,
        read(source, public),
        [read(source, positions) for positions in clients],
        replace(unseen, names=[f"unseen[{position}]" for position in range(len(unseen))]),
        skipped,
    )
    if skipped:
        raise ClientError(
            f"{len(skipped)} images of {plan.data} cannot be read, the first: {skipped[0].name}: "
            f"{skipped[0].reason}. Take them out: an experiment needs to know its images"
        )
    duplicates = _read_flags(plan.data, "test_near_duplicate") if divided else None
    return Division(
        parts,
        _name_subsets(len(unseen), None if duplicates is None else duplicates[asked]),
        _describe(plan.data, parts, size),
    )


def _check(source: ImageSource) -> None:
    labels = {source.label(index) for index in range(len(source))}
    if None in labels or len(labels) < 2:
        raise ClientError(f"{source.name}: the experiment needs labels of at least two classes")
    if len(source) < _FEWEST_IMAGES:
        raise ClientError(
            f"{source.name}: the experiment needs {_FEWEST_IMAGES} images, not {len(source)}"
        )


def _share(
    source: ImageSource, order: Positions, non_iid: bool
) -> tuple[Positions, list[Positions]]:
    """Return the positions of the public images and those of each client."""
    enough = len(order) >= PUBLIC + CLIENTS * PER_CLIENT
    count = PUBLIC if enough else len(order) // 3
    public, rest = order[:count], order[count:]
    each = min(PER_CLIENT, len(rest) // CLIENTS)
    if not non_iid:
        return public, [rest[client * each : (client + 1) * each] for client in range(CLIENTS)]
    return public, _share_by_class([str(source.label(int(one))) for one in rest], rest, each)


def _share_by_class(labels: Sequence[str], positions: Positions, each: int) -> list[Positions]:
    """Give every client ``each`` images of two classes, going round the classes.

    Raises:
        ClientError: a class has too few images.
    """
    classes = sorted(set(labels))
    left = {name: positions[np.array(labels) == name] for name in classes}
    wanted = [
        [classes[(CLASSES_PER_CLIENT * client + step) % len(classes)] for step in range(2)]
        for client in range(CLIENTS)
    ]
    asked = [name for pair in wanted for name in pair]
    share = min(each // CLASSES_PER_CLIENT, *(len(left[n]) // asked.count(n) for n in set(asked)))
    if share == 0:
        raise ClientError("there are too few images of a class to give clients two classes each")
    clients = []
    for pair in wanted:
        taken = [left[name][:share] for name in pair]
        left |= {name: left[name][share:] for name in pair}
        clients.append(np.concatenate(taken))
    return clients


def _name_subsets(count: int, duplicates: NDArray[np.bool_] | None) -> dict[str, Positions]:
    # The parts give each client a stretch of the test; the first of every stretch are the paper's.
    each = min(UNSEEN, count) // CLIENTS
    stretches = np.array_split(np.arange(count), CLIENTS)
    small = np.concatenate([stretch[:each] for stretch in stretches])
    subsets = {f"{len(small):,} unseen": small}
    if count - len(small) >= CLIENTS:
        subsets["whole test set"] = np.arange(count)
    else:
        subsets = {f"{count:,} unseen": np.arange(count)}
    if duplicates is not None and duplicates.any():
        subsets |= {
            f"{name}, near duplicates left out": positions[~duplicates[positions]]
            for name, positions in subsets.items()
        }
    return subsets


def _read_flags(data: str, name: str) -> NDArray[np.bool_] | None:
    flags = read_npz_column(Path(data), name) if data.endswith(".npz") else None
    return None if flags is None else flags.astype(bool)


def _describe(data: str, parts: Parts, size: Size) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": parts.name,
        "pixels": f"{size[0]}x{size[1]}",
        "classes": sorted({str(label) for label in parts.unseen.labels}),
        "public_images": len(parts.public),
        "images_per_client": [len(client) for client in parts.clients],
        "test_images": len(parts.unseen),
    }
    if not data.endswith(".npz"):
        return facts
    patients = [read_npz_column(Path(data), f"{split}_patients") for split in ("train", "test")]
    if patients[0] is not None and patients[1] is not None:
        both = np.intersect1d(patients[0], patients[1])
        facts["patients_in_training_and_test"] = len(both)
    return facts
