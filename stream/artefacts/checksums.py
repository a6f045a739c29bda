"""Checksums of files that somebody else may have copied, cut off or changed.

* ArtefactError
"""

import hashlib
from pathlib import Path

from stream.errors import StreamError


class ArtefactError(StreamError):
    """A file of an encoder is missing, unreadable, or not the file its manifest names."""


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex, reading it in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sum(path: Path, expected: str) -> None:
    """Compare the sha256 of an encoder's file with ``expected`` (hex).

    Raises:
        ArtefactError: they differ, or the file cannot be read.
    """
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise ArtefactError(
            f"{path} is named by manifest.json but cannot be read: {error.strerror}; "
            "copy the whole encoder directory again"
        ) from error
    if actual != expected:
        raise ArtefactError(
            f"{path} is not the file its manifest names: expected sha256 {expected}, "
            f"found {actual}; copy the whole encoder directory again"
        )
