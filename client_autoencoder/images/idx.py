"""Opens IDX files, such as MNIST's, as images: finds the file of a split and its labels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from client_autoencoder.errors import ClientError
from client_autoencoder.images.arrays import ArraySource
from client_autoencoder.images.folders import list_visible
from client_autoencoder.images.idx_format import IMAGES, LABELS, read_idx

_NAME = re.compile(r"(?P<stem>.+)(?P<mark>[-.])idx(?P<dimensions>\d)-ubyte(?P<packing>(\.gz)?)")


def is_idx_name(path: Path) -> bool:
    """Return whether the name is of an IDX file: ``-idx3-ubyte``, ``.idx3-ubyte``, or with .gz."""
    return _NAME.fullmatch(path.name) is not None


def open_idx(path: Path) -> ArraySource:
    """Open an IDX file of images, with the labels in the file beside it, if there is one.

    The labels of ``train-images-idx3-ubyte`` are in ``train-labels-idx1-ubyte``. Each of the two
    names may have a dot or a hyphen, and .gz or not.

    Raises:
        ClientError: a file cannot be read, is no IDX file of unsigned bytes, is damaged,
            empty or incomplete, or the numbers of images and labels differ.
    """
    images = read_idx(path, IMAGES)
    stem = _split_name(path)["stem"]
    return ArraySource(stem, images, _read_labels(path, len(images)), white=255.0, array=stem)


def open_idx_folder(folder: Path, split: str | None = None) -> ArraySource:
    """Open the images of a folder of IDX files, with their labels.

    The name of a file says its split: ``train``, or ``t10k`` or ``test`` for ``test``. Without
    ``split`` the file without such a name is opened, else ``train``.

    Raises:
        ClientError: the split is missing, or is in several files; else as ``open_idx``.
    """
    by_split = _find_images(folder)
    for name in [split] if split else ["", "train"]:
        if paths := by_split.get(name):
            return replace(open_idx(_only(folder, paths)), name=folder.resolve().name)
    names = ", ".join(path.name for paths in by_split.values() for path in paths)
    raise ClientError(
        f"{folder} has no IDX file of images of the split {split or 'train'}; it has {names}"
    )


def find_idx_splits(folder: Path) -> set[str]:
    """Return which of the splits ``train`` and ``test`` a folder of IDX files has.

    Raises:
        ClientError: the folder cannot be read.
    """
    return _find_images(folder).keys() - {""}


def is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds an IDX file of images.

    Raises:
        ClientError: the folder cannot be read.
    """
    return bool(_find_images(folder))


def _split_name(path: Path) -> Mapping[str, str]:
    match = _NAME.fullmatch(path.name)
    return match.groupdict() if match else {"stem": path.name, "mark": "-", "packing": ""}


def _find_images(folder: Path) -> dict[str, list[Path]]:
    """Return the files of images by split; beside the plain file its .gz is left out."""
    by_stem: dict[str, Path] = {}
    for path in list_visible(folder):
        match = _NAME.fullmatch(path.name)
        if match and match["dimensions"] == str(IMAGES) and path.is_file():
            by_stem.setdefault(match["stem"], path)
    by_split: dict[str, list[Path]] = {}
    for stem, path in by_stem.items():
        by_split.setdefault(_split_of(stem), []).append(path)
    return by_split


def _split_of(stem: str) -> str:
    words = re.split(r"[^a-z0-9]+", stem.lower())
    if "train" in words:
        return "train"
    return "test" if "t10k" in words or "test" in words else ""


def _only(folder: Path, paths: list[Path]) -> Path:
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise ClientError(f"{folder} has several IDX files of images, {names}; name one of them")
    return paths[0]


def _read_labels(images: Path, count: int) -> Sequence[str | None]:
    path = _find_labels(images)
    if path is None:
        return [None] * count
    labels = read_idx(path, LABELS)
    if len(labels) != count:
        raise ClientError(
            f"{images} holds {count} images and {path} {len(labels)} labels; they are not of "
            "one set, copy both again"
        )
    return [str(label) for label in labels]


def _find_labels(images: Path) -> Path | None:
    """Return the file of labels beside a file of images; the same spelling comes first."""
    name = _split_name(images)
    stem = re.sub("images$", "labels", name["stem"])
    spellings = (
        images.with_name(f"{stem}{mark}idx{LABELS}-ubyte{packing}")
        for mark in dict.fromkeys((name["mark"], "-", "."))
        for packing in dict.fromkeys((name["packing"], "", ".gz"))
    )
    return next((path for path in spellings if path.is_file()), None)
