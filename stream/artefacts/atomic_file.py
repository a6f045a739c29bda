"""Files and folders that are there whole or not at all, also after a crash or a power cut."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from stream.artefacts.private import open_private


@contextmanager
def replace_atomically(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield the path of a draft; after the block it takes the place of ``target``.

    The draft is a file or a folder that the block makes. It lies beside the target, in a folder
    that nobody else may read. Where the block raises, nothing of it is left.

    Args:
        overwrite: whether a file that is there already is replaced; a folder must be empty.

    Raises:
        FileExistsError: ``overwrite`` is false, and the target is there.
        OSError: the draft cannot be written.

    Example:
        >>> with replace_atomically(Path("encoder.onnx")) as draft:
        ...     draft.write_bytes(model)
    """
    target = target.absolute()
    with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        yield draft
        for path in (*draft.rglob("*"), draft):
            sync(path)
        if overwrite:
            draft.replace(target)
        else:
            target.hardlink_to(draft)  # unlike a renaming, it never takes another file's place
        sync(target.parent)


def write_atomically(target: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, at once or not at all.

    The draft is a hidden file: Kafka takes every folder beside its files for a partition.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        write_private(draft, content)
        draft.replace(target)
        sync(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_private(path: Path, content: bytes | memoryview) -> None:
    """Write a file that its owner alone may read, and wait for the disk.

    Raises:
        OSError: it cannot be written; a part of it is left behind.
    """
    descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # Windows opens no folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
