"""One process per outbox: a file lock that the operating system releases when the process ends."""

import os
import sys
from pathlib import Path
from typing import IO

from client_autoencoder.errors import OutboxError, OutboxInUse
from stream.artefacts.private import make_private_file

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        # Far beyond the process id at the start of the file, which others must be able to read.
        file.seek(2**20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class OutboxLock:
    """A lock that is held from the constructor to ``release`` or the end of the process.

    The lock is on a file beside the database: closing another handle of the database itself would
    drop the locks that SQLite has on it (fcntl(2)). The file stays; it holds the last process id.

    Raises:
        OutboxInUse: another process holds the lock; the text names file and process.
        OutboxError: the file cannot be written.
    """

    def __init__(self, database: Path) -> None:
        try:
            make_private_file(_path_of(database))
            self._file = _path_of(database).open("a+")
        except OSError as error:
            raise OutboxError(
                f"outbox {database} cannot be locked ({error.strerror}): check who may write to "
                "its directory, or name another one with --outbox"
            ) from error
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            raise OutboxInUse(
                f"outbox {database} is in use by process {_read_holder(database) or 'unknown'}: "
                "wait until that ends; further processes need a client id of their own"
            ) from error
        self._write_holder()

    def release(self) -> None:
        """Let another process have the outbox."""
        self._file.close()

    def _write_holder(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()


def _read_holder(database: Path) -> int | None:
    """Return the id of the process that last held the lock, or None where none is written."""
    try:
        return int(_path_of(database).read_text())
    except (OSError, ValueError):
        return None


def _path_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")
