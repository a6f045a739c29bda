"""Which process runs the broker of a directory: the one in `broker.pid`, if that is a Kafka."""

from pathlib import Path
from typing import TYPE_CHECKING

from stream.artefacts.private import open_private
from stream.broker.errors import BrokerError, needing_extra

if TYPE_CHECKING:
    import psutil

NAME = "broker.pid"


def record_pid(directory: Path, pid: int) -> None:
    """Claim the directory for a process.

    Raises:
        BrokerError: another process has claimed it since somebody looked.
    """
    try:
        with open(directory / NAME, "x", encoding="ascii", opener=open_private) as file:
            file.write(f"{pid}\n")
    except FileExistsError as error:
        raise BrokerError(
            f"another broker was just started in {directory}: use that one (ioa broker status)"
        ) from error


def forget_pid(directory: Path, pid: int) -> None:
    """Remove the claim of this process, and of no other."""
    if _read_pid(directory) == pid:
        forget_stale_pid(directory)


def forget_stale_pid(directory: Path) -> None:
    """Remove a claim for which `find_broker` finds no process."""
    (directory / NAME).unlink(missing_ok=True)


def find_broker(directory: Path) -> "psutil.Process | None":
    """Return the live broker of this directory.

    A number is not enough, because the system reuses it: the process must be a Kafka whose working
    directory is this one.
    """
    if (pid := _read_pid(directory)) is None:
        return None
    with needing_extra():
        import psutil
    try:
        process = psutil.Process(pid)
        is_ours = "kafka.Kafka" in process.cmdline() and Path(process.cwd()) == directory.resolve()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None
    return process if is_ours else None


def _read_pid(directory: Path) -> int | None:
    try:
        return int((directory / NAME).read_text(encoding="ascii"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
