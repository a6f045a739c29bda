"""Opens any source of images by a word or a path: digits, NPZ, IDX, folders, PNG and JPEG.

Each kind has a file of its own: ``npz``, ``idx``, ``folders``, ``files``.
"""

import os
from collections.abc import Collection
from pathlib import Path

from client_autoencoder.errors import ClientError
from client_autoencoder.images.arrays import ArraySource
from client_autoencoder.images.batches import ImageSource
from client_autoencoder.images.folders import SPLITS, FileSource, find_folder_splits, open_folder
from client_autoencoder.images.idx import (
    find_idx_splits,
    is_idx_folder,
    is_idx_name,
    open_idx,
    open_idx_folder,
)
from client_autoencoder.images.npz import LABELS, find_npz_splits, open_npz

_DIGITS = "digits"


def open_source(
    data: str,
    *,
    split: str | None = None,
    label: str | None = None,
    label_column: str | None = None,
) -> ImageSource:
    """Open ``digits``, an NPZ or IDX file, a folder, or one PNG or JPEG file.

    Args:
        data: the word ``digits`` or a path. A folder holds IDX files, one folder per class, or
            images.
        split: the split of a divided source, as ``test`` for ``test_images`` of an NPZ file,
            ``t10k-images-idx3-ubyte`` or the folder ``test``; default: ``train``.
        label: for images without a label: a single file, or a folder without class folders.
        label_column: of an NPZ file, the array that holds the labels, or one of its attributes;
            default: ``labels``.

    Raises:
        ClientError: the source is missing, empty or not understood, or has no such split; the
            text names it.
    """
    path = Path(data)
    if label_column is not None and not _is_npz(path):
        raise ClientError(f"{data} has no columns; only an NPZ file has: drop --label-column")
    if _is_folder(data):
        return (
            open_idx_folder(path, split) if is_idx_folder(path) else open_folder(path, label, split)
        )
    if _is_npz(path):
        return open_npz(path, split, label_column or LABELS)
    source = _open_undivided(data, label)
    if split:
        raise ClientError(f"{data} is not divided and has no split {split}; drop --split")
    return source


def list_splits(data: str) -> tuple[str, ...]:
    """Return which of ``train`` and ``test`` a source has; none where it is not divided.

    Raises:
        ClientError: the source is missing or not understood, as in ``open_source``.
    """
    splits = _find_splits(data)
    return tuple(split for split in SPLITS if split in splits)


def open_digits() -> ArraySource:
    """Open scikit-learn's 1,797 handwritten digits of 8x8 pixels, labelled 0 to 9.

    Raises:
        ClientError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ClientError(
            "the digits need scikit-learn: pip install '.[demo]' in the project's folder"
        ) from error
    images, targets = load_digits(return_X_y=True)
    return ArraySource(_DIGITS, images.reshape(-1, 8, 8), [str(t) for t in targets], white=16.0)


def _open_undivided(data: str, label: str | None) -> ImageSource:
    path = Path(data)
    if data == _DIGITS:
        return open_digits()
    if not os.path.isfile(data):
        raise _missing(data)
    return open_idx(path) if is_idx_name(path) else FileSource(path.stem, [path], [label])


def _find_splits(data: str) -> Collection[str]:
    path = Path(data)
    if _is_folder(data):
        return find_idx_splits(path) if is_idx_folder(path) else find_folder_splits(path)
    if _is_npz(path):
        return find_npz_splits(path)
    if data != _DIGITS and not os.path.isfile(data):
        raise _missing(data)
    return ()


def _is_folder(data: str) -> bool:
    # os.path: pathlib raises where a path is too long, or a parent folder may not be entered
    return data != _DIGITS and os.path.isdir(data)


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _missing(data: str) -> ClientError:
    return ClientError(
        f"{data} is neither a file nor a folder; name a folder, an NPZ or IDX file, "
        "a PNG or JPEG file, or the word digits"
    )
