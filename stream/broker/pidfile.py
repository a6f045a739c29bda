"""Which process runs the broker of a directory: `broker.pid`, believed only after a look."""

from pathlib import Path
from typing import TYPE_CHECKING

from stream.broker.errors import needing_extra

if TYPE_CHECKING:
    import psutil

NAME = "broker.pid"


def record_pid(directory: Path, pid: int) -> bool:
    """Claim the directory for a process; False when another claim is already there."""
    try:
        with (directory / NAME).open("x", encoding="ascii") as file:
            file.write(f"{pid}\n")
    except FileExistsError:
        return False
    return True


def forget_pid(directory: Path, pid: int) -> None:
    """Remove the claim of this process, and of no other."""
    if _read_pid(directory) == pid:
        (directory / NAME).unlink(missing_ok=True)


def find_broker(directory: Path) -> "psutil.Process | None":
    """The live broker of this directory; a stale claim is removed.

    A number is not enough, because the system reuses it: the process must be a Kafka whose working
    directory is this one.
    """
    pid = _read_pid(directory)
    if pid is None:
        return None
    process = _kafka_process(pid, directory.resolve())
    if process is None:
        forget_pid(directory, pid)
    return process


def _read_pid(directory: Path) -> int | None:
    try:
        return int((directory / NAME).read_text(encoding="ascii"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _kafka_process(pid: int, directory: Path) -> "psutil.Process | None":
    with needing_extra():
        import psutil
    try:
        process = psutil.Process(pid)
        ours = "kafka.Kafka" in process.cmdline() and Path(process.cwd()) == directory
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None
    return process if ours else None
