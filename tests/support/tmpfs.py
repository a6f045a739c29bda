"""A small disk in memory that a test can fill."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Resize = Callable[[int], None]


@contextmanager
def mount_tmpfs(folder: Path, mebibytes: int) -> Iterator[Resize]:
    """Mount a disk in memory at ``folder`` and yield a function that sets its size in MiB.

    Skips the test if this user may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={mebibytes}m,mode=755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs root, to fill a small disk: {mounted.stderr.strip()}")

    def resize(mebibytes: int) -> None:
        options = f"remount,size={mebibytes}m"
        subprocess.run(["mount", "-o", options, str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
