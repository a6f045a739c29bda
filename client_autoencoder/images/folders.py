"""Folders of PNG and JPEG files, one folder per class or none, whole or divided into splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Pixels
from client_autoencoder.images.files import read_image_file

SPLITS = ("train", "test")

_SYSTEM_FILES = ("thumbs.db", "desktop.ini")
_NAMES_SHOWN = 8


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


def open_folder(folder: Path, label: str | None = None, split: str | None = None) -> FileSource:
    """Open a folder of class folders (their names are the labels), or of images without labels.

    A folder may be divided: it then holds the folders ``train`` and ``test``, each such a folder
    of its own. Without ``split`` its ``train`` is opened; with ``split`` the folder of that name.

    Raises:
        ClientError: there is no file in it, no folder of the split's name, or ``label`` is given
            beside class folders.
    """
    part = _enter_split(folder, split)
    name = folder.resolve().name
    classes = _folders_in(part)
    if not classes:
        loose = [child for child in list_visible(part) if child.is_file()]
        return _file_source(name, part, loose, [label] * len(loose))
    if label is not None:
        raise ClientError(f"{part} has class folders, whose names are the labels; drop --label")
    # Some systems hand out folder names in decomposed Unicode, in which "é" is two characters.
    paths = [
        (file, normalize("NFC", child.name)) for child in classes for file in _files_below(child)
    ]
    return _file_source(name, part, [path for path, _ in paths], [name for _, name in paths])


def find_folder_splits(folder: Path) -> set[str]:
    """Return ``train`` and ``test`` for a folder that holds both as folders, else nothing.

    One of them alone is a class folder like any other.

    Raises:
        ClientError: the folder cannot be read.
    """
    names = {child.name for child in _folders_in(folder)}
    return set(SPLITS) if names.issuperset(SPLITS) else set()


def list_visible(folder: Path) -> list[Path]:
    """List what is in a folder, sorted, without hidden and system files.

    Raises:
        ClientError: the folder cannot be read.
    """
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ClientError(f"{folder} cannot be read: {error.strerror}") from error
    return [child for child in children if not _is_hidden(child)]


def _enter_split(folder: Path, split: str | None) -> Path:
    if not split:
        return folder / "train" if find_folder_splits(folder) else folder
    names = [child.name for child in _folders_in(folder)]
    if split in names:
        return folder / split
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    raise ClientError(
        f"{folder} has no folder {split}; the folders in it: {shown or 'none'}. "
        "Name one of them with --split, or drop --split"
    )


def _file_source(
    name: str, folder: Path, paths: list[Path], labels: Sequence[str | None]
) -> FileSource:
    if not paths:
        raise ClientError(f"{folder} holds no image; it needs PNG or JPEG files")
    return FileSource(name, paths, labels)


def _folders_in(folder: Path) -> list[Path]:
    return [child for child in list_visible(folder) if child.is_dir()]


def _files_below(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and not _is_hidden(file)]


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM_FILES
