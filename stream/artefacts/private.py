"""Files and folders of which their owner alone may read anything, whatever the umask is."""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Make a folder with mode 0700, or tighten the one that is there.

    A folder that belongs to somebody else, or that is shared as ``/tmp`` is, stays as it is: others
    work in it. What lies in it should be private by itself.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if os.name == "posix" and found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
        tighten(folder)


def make_private_file(path: Path) -> None:
    """Make an empty file with mode 0600, or tighten the one that is there.

    Raises:
        OSError: it cannot be made, or belongs to somebody else and others may read it.
    """
    try:
        os.close(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        tighten(path)


def open_private(path: str | Path, flags: int) -> int:
    """Open as ``os.open``; a file that this makes has mode 0600.

    Example:
        >>> with open("waiting.jsonl", "x", opener=open_private) as file:
        ...     file.write(latents)
    """
    return os.open(path, flags, 0o600)


def tighten(path: Path) -> None:
    """Take all rights of group and others away; a path that is not there is left out.

    Raises:
        OSError: it belongs to somebody else, and others may read it.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            path.chmod(mode & ~_OTHERS)
    except FileNotFoundError:
        return


def tighten_tree(path: Path) -> None:
    """Tighten a file, or a folder with all that lies in it; links are not followed.

    Raises:
        OSError: as ``tighten``.
    """
    if path.is_symlink():
        return
    tighten(path)
    if path.is_dir():
        for inside in path.iterdir():
            tighten_tree(inside)
