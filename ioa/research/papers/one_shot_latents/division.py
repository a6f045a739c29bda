"""Who gets which images: the encoder, the clients, and the test that nobody learns from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.exchanges.learning import check_labels
from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped, read_all
from client_autoencoder.images.npz import read_npz_column
from client_autoencoder.images.sets import stratified_order
from client_autoencoder.images.sources import list_splits, open_source
from ioa.research.lab.parts import Parts, choose_input
from ioa.research.papers.one_shot_latents.plan import Plan
from schemas.models.network_manifest import ImageInput

PUBLIC = 5000  # images of the encoder; the paper does not say on what it trained its own
PER_CLIENT = 1000
UNSEEN = 1000
CLASSES_PER_CLIENT = 2
WHOLE = "whole test set"
_FEWEST_IMAGES = 60

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Division:
    """The parts, and which of the unseen images count for which table.

    Attributes:
        parts: their ``unseen`` is the whole test set, in a random order.
        subsets: positions in it by name. ``1,000 unseen`` is the paper's test, the same number
            from each client; ``whole test set`` exists only where there is more.
        facts: what the result says about the data.
    """

    parts: Parts
    subsets: dict[str, Positions]
    facts: dict[str, Any]


def divide(plan: Plan, seed: int) -> Division:
    """Read a source and divide it; the same seed gives the same parts.

    The test set is the same for every seed: the source's own, or a stratified draw. The rest goes
    to the encoder (public) and the clients; a source too small for the paper's numbers is divided
    into about the same shares.

    Raises:
        ClientError: images are too few, unlabelled or unreadable.
    """
    rng = np.random.default_rng(seed)
    source, order, tests, asked = _open(plan)
    order = order[stratified_order([source.label(int(index)) for index in order], rng)]
    asked = rng.permutation(asked)
    public, clients = _share(plan, source, order)
    wanted = ImageInput(1, plan.size, plan.size) if plan.size else choose_input(source, order)
    skipped: list[Skipped] = []

    def read(of: ImageSource, positions: Positions) -> ImageBatch:
        return read_all(of, skipped, wanted=wanted, order=positions.tolist())

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
    return Division(
        parts,
        _name_subsets(plan, len(unseen), _read_near_duplicates(plan.data, asked)),
        _describe(plan.data, parts, wanted),
    )


def _open(plan: Plan) -> tuple[ImageSource, Positions, ImageSource, Positions]:
    """Return what may be learned from, and the test, each as a source and positions in it."""
    data = plan.data
    if "test" in list_splits(data):
        source, tests = open_source(data, split="train"), open_source(data, split="test")
        learnable, asked = np.arange(len(source)), np.arange(len(tests))
    else:
        source = tests = open_source(data)
        labels = [source.label(index) for index in range(len(source))]
        order = stratified_order(labels, np.random.default_rng(0))
        asked, learnable = np.split(order, [min(UNSEEN, len(source) * 2 // 9)])
    _check(source, _FEWEST_IMAGES)
    _check(tests, plan.clients)
    return source, learnable, tests, asked


def _check(source: ImageSource, fewest: int) -> None:
    if len(source) < fewest:
        raise ClientError(f"{source.name}: the experiment needs {fewest} images, not {len(source)}")
    check_labels(source, range(len(source)))
    if len({source.label(index) for index in range(len(source))}) < 2:
        raise ClientError(f"{source.name}: the experiment needs labels of at least two classes")


def _share(plan: Plan, source: ImageSource, order: Positions) -> tuple[Positions, list[Positions]]:
    """Return the positions of the public images and those of each client."""
    enough = len(order) >= PUBLIC + plan.clients * PER_CLIENT
    count = PUBLIC if enough else len(order) // 3
    public, rest = order[:count], order[count:]
    per_client = min(PER_CLIENT, len(rest) // plan.clients)
    if plan.non_iid:
        labels = [str(source.label(int(position))) for position in rest]
        return public, _share_by_class(plan, labels, rest, per_client)
    return public, [
        rest[client * per_client : (client + 1) * per_client] for client in range(plan.clients)
    ]


def _share_by_class(
    plan: Plan, labels: Sequence[str], positions: Positions, per_client: int
) -> list[Positions]:
    """Give every client ``per_client`` images of two classes, class after class in turn."""
    classes = sorted(set(labels))
    turns = CLASSES_PER_CLIENT * plan.clients
    if len(classes) > turns:
        raise ClientError(
            f"{len(classes)} classes are more than {plan.clients} clients with "
            f"{CLASSES_PER_CLIENT} classes each hold; leave out --non-iid"
        )
    left = {name: positions[np.array(labels) == name] for name in classes}
    asked = [classes[turn % len(classes)] for turn in range(turns)]
    share = min(
        per_client // CLASSES_PER_CLIENT, *(len(left[n]) // asked.count(n) for n in set(asked))
    )
    if share == 0:
        raise ClientError("there are too few images of a class to give clients two classes each")
    clients = []
    for pair in np.reshape(asked, (plan.clients, CLASSES_PER_CLIENT)).tolist():
        clients.append(np.concatenate([left[name][:share] for name in pair]))
        left |= {name: left[name][share:] for name in pair}
    return clients


def _name_subsets(
    plan: Plan, count: int, duplicates: NDArray[np.bool_] | None
) -> dict[str, Positions]:
    # Each client asks about one section of the test; the first images of each are the paper's.
    per_client = min(UNSEEN, count) // plan.clients
    sections = np.array_split(np.arange(count), plan.clients)
    small = np.concatenate([section[:per_client] for section in sections])
    if count - len(small) < plan.clients:
        subsets = {f"{count:,} unseen": np.arange(count)}
    else:
        subsets = {f"{len(small):,} unseen": small, WHOLE: np.arange(count)}
    if duplicates is not None and 0 < duplicates[small].sum() < len(small):
        subsets |= {
            f"{name}, near duplicates left out": positions[~duplicates[positions]]
            for name, positions in subsets.items()
        }
    return subsets


def _read_near_duplicates(data: str, asked: Positions) -> NDArray[np.bool_] | None:
    """Return the flags of the test images in the order of ``asked``, None without flags."""
    flags = _read_column(data, "test_near_duplicate")
    if flags is None:
        return None
    if flags.shape != asked.shape:
        raise ClientError(
            f"{data}: test_near_duplicate has the shape {list(flags.shape)}, not [{len(asked)}]"
        )
    return flags.astype(bool)[asked]


def _read_column(data: str, name: str) -> NDArray[Any] | None:
    return read_npz_column(Path(data), name) if Path(data).suffix.lower() == ".npz" else None


def _describe(data: str, parts: Parts, wanted: ImageInput) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": parts.name,
        "pixels": f"{wanted.height}x{wanted.width}",
        "classes": sorted({str(label) for label in parts.unseen.labels}),
        "public_images": len(parts.public),
        "images_per_client": [len(client) for client in parts.clients],
        "test_images": len(parts.unseen),
    }
    patients = [_read_column(data, f"{split}_patients") for split in ("train", "test")]
    if patients[0] is not None and patients[1] is not None:
        both = np.intersect1d(patients[0], patients[1])
        facts["patients_in_training_and_test"] = len(both)
    return facts
