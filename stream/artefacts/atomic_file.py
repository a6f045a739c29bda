"""Files and folders that are there whole or not at all, also after a crash or a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


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
    target.parent.mkdir(parents=True, exist_ok=True)
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

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    with replace_atomically(target) as draft:
        write_private(draft, content)


def write_private(path: Path, content: bytes | memoryview) -> None:
    """Write a file that its owner alone may read, and wait for the disk.

    Raises:
        OSError: it cannot be written; what was written stays behind.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
