"""A directory for one run; without ``keep`` it leaves no image behind."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ioa.errors import SettingsError
from ioa.run.termination import ended_in_order


@contextmanager
def working_directory(keep: Path | None, prefix: str) -> Iterator[Path]:
    """Yield ``keep``, new or empty, or a temporary directory that is removed at the end.

    If the block raises an error, the logs in the temporary directory stay, because errors name
    them; images, latents and weights are removed. SIGTERM ends the block like Ctrl-C.

    Raises:
        SettingsError: ``keep`` is not empty.
    """
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise SettingsError(f"{keep} is not empty; name a new directory with --keep")
        keep.mkdir(parents=True, exist_ok=True)
        with ended_in_order():
            yield keep.resolve()
        return
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    logs_matter = False
    try:
        with ended_in_order():
            yield directory
    except Exception:
        logs_matter = True
        raise
    finally:
        _remove(directory, keep_logs=logs_matter)


def _remove(directory: Path, *, keep_logs: bool) -> None:
    """Remove a directory, or with ``keep_logs`` everything in it except logs.

    The ``.log`` files in the broker's ``data`` are messages, not logs.
    """
    logs = [
        log
        for log in directory.rglob("*.log")
        if log.stat().st_size and "data" not in log.relative_to(directory).parts
    ]
    if not (keep_logs and logs):
        shutil.rmtree(directory, ignore_errors=True)
        return
    for path in directory.rglob("*"):
        if path.is_file() and path not in logs:
            path.unlink()
