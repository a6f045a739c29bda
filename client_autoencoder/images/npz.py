"""Opens NPZ files with the arrays ``images`` and ``labels``, whole or divided into splits."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.images.arrays import ArraySource

LABELS = "labels"
_SPLITS = "split_names"
_ATTRIBUTES = "attribute_names"
# What numpy and zipfile raise on damaged bytes; RuntimeError: encrypted, or unknown compression.
_DAMAGE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)


def open_npz(path: Path, split: str | None = None, label_column: str = LABELS) -> ArraySource:
    """Open the arrays ``images`` and ``labels`` of an NPZ file, or ``test_images`` and so on.

    Without ``split`` these are ``images`` or, in a divided file, ``train_images``; a file may also
    say in an array ``split`` which split each image is of. The optional array ``class_names`` turns
    whole-number labels into names, and ``gender_names`` those of another column; the optional text
    array ``names`` or ``files``, with the split's prefix, names the images. Pickled objects are
    never loaded.

    Args:
        label_column: the array that holds the labels, such as ``gender``; or one of the
            ``attribute_names``, whose labels are its name and ``not`` with its name.

    Raises:
        ClientError: the file or an array in it is missing or not understood.
    """
    with _open_arrays(path) as arrays:
        prefix = _find_prefix(path, arrays, split)
        images = _read(arrays, f"{prefix}images")
        _check_images(path, images)
        labels = _read_labels(path, arrays, f"{prefix}{label_column}", label_column, len(images))
        names = _read_names(path, arrays, prefix, len(images))
        if split and not prefix:
            rows = _find_rows(path, arrays, split, len(images))
            images, labels = images[rows], [labels[row] for row in rows]
            names = [names[row] if names else f"images[{row}]" for row in rows]
        return ArraySource(path.stem, images, labels, _white(images), names, f"{prefix}images")


def read_npz_column(path: Path, name: str) -> NDArray[Any] | None:
    """Read another array of an NPZ file, as ``train_patients``; None where it is missing.

    Raises:
        ClientError: the file is missing or not understood, or the array holds pickled objects.
    """
    with _open_arrays(path) as arrays:
        return _read(arrays, name) if name in arrays else None


def find_npz_splits(path: Path) -> set[str]:
    """Return the splits of an NPZ file: ``test`` for ``test_images``.

    Raises:
        ClientError: the file is missing or not understood.
    """
    with _open_arrays(path) as arrays:
        named = {str(name) for name in _read(arrays, _SPLITS)} if _SPLITS in arrays else set()
        return named | {name.removesuffix("_images") for name in arrays if name.endswith("_images")}


@contextmanager
def _open_arrays(path: Path) -> Iterator[NpzFile]:
    try:
        # numpy leaves a broken file open, so we open and close it
        with path.open("rb") as file, _as_npz(np.load(file, allow_pickle=False)) as loaded:
            yield loaded
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise ClientError(f"{path} is not an NPZ file of plain arrays: {error}") from error


def _as_npz(loaded: Any) -> NpzFile:
    if not isinstance(loaded, NpzFile):
        raise ValueError("it holds one array without a name")
    return loaded


def _read(arrays: NpzFile, name: str) -> NDArray[Any]:
    array: Any = arrays[name]
    if not isinstance(array, np.ndarray):  # numpy returns the bytes of what is no array
        raise ValueError(f"{name} is no array")
    return array


def _find_prefix(path: Path, arrays: NpzFile, split: str | None) -> str:
    candidates = [f"{split}_"] if split else ["", "train_"]
    if split and _SPLITS in arrays and split in _read(arrays, _SPLITS):
        candidates.append("")
    for prefix in candidates:
        if f"{prefix}images" in arrays:
            return prefix
    names = " or ".join(f"{prefix}images" for prefix in candidates)
    raise ClientError(f"{path} has no array {names}; it has {', '.join(arrays) or 'none'}")


def _check_images(path: Path, images: NDArray[Any]) -> None:
    if images.ndim not in (3, 4) or images.size == 0 or images.dtype.kind not in "buif":
        raise ClientError(
            f"{path}: images are {images.dtype} of shape {list(images.shape)}; they must be "
            "numbers [N, H, W], [N, 1, H, W] or [N, H, W, 3]"
        )
    if images.ndim == 4 and 1 not in (images.shape[1], images.shape[3]) and images.shape[3] != 3:
        raise ClientError(f"{path}: images of {list(images.shape)} have no known channel axis")


def _white(images: NDArray[Any]) -> float:
    """Return the value of a white pixel: the largest of an unsigned dtype, else 1."""
    return float(np.iinfo(images.dtype).max) if images.dtype.kind == "u" else 1.0


def _find_rows(path: Path, arrays: NpzFile, split: str, count: int) -> NDArray[np.intp]:
    """Return the positions of the images of a split that an array ``split`` names."""
    splits = _read(arrays, "split")
    _check_column(path, "split", splits, count, "iu", "whole numbers")
    number = list(_read(arrays, _SPLITS)).index(split)
    return np.flatnonzero(splits == number)


def _read_labels(
    path: Path, arrays: NpzFile, column: str, label_column: str, count: int
) -> list[str | None]:
    if column not in arrays:
        attributes = _read(arrays, _ATTRIBUTES).tolist() if _ATTRIBUTES in arrays else []
        if label_column in attributes:
            return _read_attribute(path, arrays, attributes.index(label_column), count)
        if label_column == LABELS:
            return [None] * count
        raise ClientError(
            f"{path} has no column {column}; it has {', '.join([*arrays, *attributes])}"
        )
    labels = _read(arrays, column)
    _check_column(path, column, labels, count, "iuU", "whole numbers or texts")
    names = "class_names" if label_column == LABELS else f"{label_column}_names"
    if names not in arrays or labels.dtype.kind == "U":
        return [str(label) for label in labels]
    return _name_classes(path, labels, names, _read(arrays, names))


def _read_attribute(path: Path, arrays: NpzFile, number: int, count: int) -> list[str | None]:
    """Return for each image the attribute's name, or ``not`` with its name."""
    name, values = str(_read(arrays, _ATTRIBUTES)[number]), _read(arrays, "attributes")
    if values.shape[0] != count or values.ndim != 2 or values.shape[1] <= number:
        raise ClientError(f"{path}: attributes have the shape {list(values.shape)}")
    return [name if value else f"not {name}" for value in values[:, number]]


def _name_classes(
    path: Path, labels: NDArray[Any], column: str, names: NDArray[Any]
) -> list[str | None]:
    if names.ndim != 1:
        raise ClientError(f"{path}: {column} have the shape {list(names.shape)}, not [classes]")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ClientError(f"{path}: a label is not a position in its {len(names)} {column}")
    return [str(names[label]) for label in labels]


def _read_names(path: Path, arrays: NpzFile, prefix: str, count: int) -> list[str] | None:
    for column in (f"{prefix}names", f"{prefix}files"):
        if column in arrays:
            names = _read(arrays, column)
            _check_column(path, column, names, count, "U", "texts")
            return [str(name) for name in names]
    return None


def _check_column(
    path: Path, column: str, values: NDArray[Any], count: int, kinds: str, expected: str
) -> None:
    if values.shape != (count,) or values.dtype.kind not in kinds:
        raise ClientError(
            f"{path}: {column} are {values.dtype} of shape {list(values.shape)}; they must be "
            f"{count} {expected}"
        )
