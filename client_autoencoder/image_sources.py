"""Where images come from: scikit-learn's digits, NPZ files, folders and files of PNG and JPEG."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.image_files import read_image_file
from client_autoencoder.images import ImageSource, Pixels, UnreadableImage

_SYSTEM_FILES = ("thumbs.db", "desktop.ini")
_GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's "L"
_NO_CLASS_NAMES: NDArray[Any] = np.array([], np.str_)


@dataclass(frozen=True)
class ArraySource:
    """Images of one array [N, H, W], [N, 1, H, W] or [N, H, W, 1 or 3], of any real dtype."""

    name: str
    images: NDArray[Any]
    labels: Sequence[str | None]
    white: float

    def __len__(self) -> int:
        return len(self.images)

    def name_of(self, index: int) -> str:
        """Return the position, as ``images[17]``."""
        return f"images[{index}]"

    def label(self, index: int) -> str | None:
        """Return the label, or None in an unlabelled source."""
        return self.labels[index]

    def load(self, index: int) -> Pixels:
        """Return one image [H, W] in 0..1."""
        pixels = _to_plane(self.images[index].astype(np.float32) / np.float32(self.white))
        if not (pixels.min() >= 0.0 and pixels.max() <= 1.0):  # true for NaN as well
            raise UnreadableImage("has pixels outside 0..1 or that are not numbers")
        return pixels


@dataclass(frozen=True)
class FileSource:
    """PNG and JPEG files, each with its label."""

    name: str
    paths: Sequence[Path]
    labels: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.paths)

    def name_of(self, index: int) -> str:
        """Return the path."""
        return str(self.paths[index])

    def label(self, index: int) -> str | None:
        """Return the name of the class folder or the label given, or None."""
        return self.labels[index]

    def load(self, index: int) -> Pixels:
        """Read one file as [H, W] in 0..1."""
        return read_image_file(self.paths[index])


def open_source(data: str, *, split: str | None = None, label: str | None = None) -> ImageSource:
    """Open ``digits``, an NPZ file, a folder, or one PNG or JPEG file.

    Args:
        data: the word ``digits`` or a path. A folder holds one folder per class, or images.
        split: which part of an NPZ file, as ``train`` for ``train_images``.
        label: for images that carry none: a single file, or a folder without class folders.

    Raises:
        ClientError: the source is missing, empty or not understood; the text names it.
    """
    path = Path(data)
    if data == "digits":
        return open_digits()
    if path.suffix.lower() == ".npz":
        return open_npz(path, split)
    if path.is_dir():
        return open_folder(path, label)
    if path.is_file():
        return FileSource(path.stem, [path], [label])
    raise ClientError(
        f"{data} is neither a file nor a folder; name a folder, an NPZ file, "
        "a PNG or JPEG file, or the word digits"
    )


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
    return ArraySource("digits", images.reshape(-1, 8, 8), [str(t) for t in targets], white=16.0)


def open_npz(path: Path, split: str | None = None) -> ArraySource:
    """Open the arrays ``images`` and ``labels`` of an NPZ file, or ``train_images`` and so on.

    ``class_names``, where present, turns whole-number labels into names. Pickled objects are
    never loaded.

    Raises:
        ClientError: the file or an array in it is missing or not understood.
    """
    try:
        # numpy leaves a broken file open, so the file is ours to close
        with path.open("rb") as file, _as_arrays(np.load(file, allow_pickle=False)) as arrays:
            prefix = _npz_prefix(path, arrays, split)
            images = arrays[f"{prefix}images"]
            labels = arrays.get(f"{prefix}labels")
            names = arrays.get("class_names", _NO_CLASS_NAMES)
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ClientError(f"{path} is not an NPZ file of plain arrays: {error}") from error
    _check_images(path, images)
    texts = _to_labels(path, labels, names, len(images))
    return ArraySource(path.stem, images, texts, _white(images))


def open_folder(folder: Path, label: str | None = None) -> FileSource:
    """Open a folder of class folders (their names are the labels), or of images without labels.

    Raises:
        ClientError: there is no file in it, or ``label`` is given beside class folders.
    """
    classes = [child for child in _visible(folder) if child.is_dir()]
    if not classes:
        loose = [child for child in _visible(folder) if child.is_file()]
        return _file_source(folder, loose, [label] * len(loose))
    if label is not None:
        raise ClientError(f"{folder} has class folders, whose names are the labels; drop --label")
    # Some systems hand out folder names in decomposed Unicode, in which "é" is two characters.
    paths = [
        (file, normalize("NFC", child.name)) for child in classes for file in _files_below(child)
    ]
    return _file_source(folder, [path for path, _ in paths], [name for _, name in paths])


def _file_source(folder: Path, paths: list[Path], labels: list[str | None]) -> FileSource:
    if not paths:
        raise ClientError(f"{folder} holds no image; it needs PNG or JPEG files")
    return FileSource(folder.resolve().name, paths, labels)


def _visible(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ClientError(f"{folder} cannot be read: {error.strerror}") from error
    return [child for child in children if not _is_hidden(child)]


def _files_below(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and not _is_hidden(file)]


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM_FILES


def _as_arrays(loaded: Any) -> NpzFile:
    if not isinstance(loaded, NpzFile):
        raise ValueError("it holds one array without a name")
    return loaded


def _npz_prefix(path: Path, arrays: Mapping[str, Any], split: str | None) -> str:
    candidates = [f"{split}_"] if split else ["", "train_"]
    for prefix in candidates:
        if f"{prefix}images" in arrays:
            return prefix
    wanted = " or ".join(f"{prefix}images" for prefix in candidates)
    raise ClientError(f"{path} has no array {wanted}; it has {', '.join(arrays) or 'none'}")


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


def _to_plane(pixels: Pixels) -> Pixels:
    """Turn [1, H, W], [H, W, 1] or [H, W, 3] into grey [H, W]."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 3 and pixels.shape[0] != 1:
        grey: Pixels = pixels @ _GREY_WEIGHTS
        return grey.clip(0.0, 1.0)
    return pixels[0] if pixels.shape[0] == 1 else pixels[:, :, 0]


def _to_labels(
    path: Path, labels: NDArray[Any] | None, names: NDArray[Any], count: int
) -> list[str | None]:
    if labels is None:
        return [None] * count
    if labels.shape != (count,) or labels.dtype.kind not in "iuU":
        raise ClientError(
            f"{path}: labels are {labels.dtype} of shape {list(labels.shape)}; they must be "
            f"{count} whole numbers or texts"
        )
    if len(names) == 0 or labels.dtype.kind == "U":
        return [str(label) for label in labels]
    if labels.min() < 0 or labels.max() >= len(names):
        raise ClientError(f"{path}: a label is not a position in its {len(names)} class_names")
    return [str(names[label]) for label in labels]
