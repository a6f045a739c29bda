"""Folders of PNG and JPEG files, with or without class folders, whole or divided into splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Channels, Pixels
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
        """Return the name of the class folder, or the label that was given, or None."""
        return self.labels[index]

    def load(self, index: int, channels: Channels = 1) -> Pixels:
        """Read one file as [channels, H, W] in 0..1."""
        return read_image_file(self.paths[index], channels)


def open_folder(folder: Path, label: str | None = None, split: str | None = None) -> FileSource:
    """Open a folder of class folders (their names are the labels), or of images without labels.

    A divided folder holds the folders ``train`` and ``test``, each with class folders or images.
    ``split`` names the one to open; without it ``train`` is opened.

    Raises:
        ClientError: there is no image, no folder of the split's name, or ``label`` is given
            although there are class folders.
    """
    split_folder = _find_split(folder, split)
    classes = _folders_in(split_folder)
    if classes and label is not None:
        raise ClientError(
            f"{split_folder} has class folders, whose names are the labels; drop --label"
        )
    labelled: list[tuple[Path, str | None]]
    if classes:
        # Some systems return folder names in decomposed Unicode, in which "é" is two characters.
        names = [(child, normalize("NFC", child.name)) for child in classes]
        labelled = [(path, name) for child, name in names for path in _files_below(child)]
    else:
        labelled = [(child, label) for child in list_visible(split_folder) if child.is_file()]
    if not labelled:
        raise ClientError(f"{split_folder} holds no image; it needs PNG or JPEG files")
    paths, labels = [path for path, _ in labelled], [name for _, name in labelled]
    return FileSource(folder.resolve().name, paths, labels)


def find_folder_splits(folder: Path) -> set[str]:
    """Return ``train`` and ``test`` if the folder holds both as folders, else nothing.

    One of them alone is a class folder like any other.

    Raises:
        ClientError: the folder cannot be read.
    """
    names = {child.name for child in _folders_in(folder)}
    return set(SPLITS) if names.issuperset(SPLITS) else set()


def list_visible(folder: Path) -> list[Path]:
    """List the children of a folder, sorted, without hidden and system files.

    Raises:
        ClientError: the folder cannot be read.
    """
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise ClientError(f"{folder} cannot be read: {error.strerror}") from error
    return [child for child in children if not _is_hidden(child)]


def _find_split(folder: Path, split: str | None) -> Path:
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


def _folders_in(folder: Path) -> list[Path]:
    return [child for child in list_visible(folder) if child.is_dir()]


def _files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path)]


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM_FILES
