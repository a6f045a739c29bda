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
    logs: list[Path] = []
    try:
        with ended_in_order():
            yield directory
    except Exception:
        # The ``.log`` files in the broker's ``data`` are messages.
        found = [log for log in directory.rglob("*.log") if log.stat().st_size]
        logs = [log for log in found if "data" not in log.relative_to(directory).parts]
        raise
    finally:
        if not logs:
            shutil.rmtree(directory, ignore_errors=True)
        for path in directory.rglob("*"):
            if path.is_file() and path not in logs:
                path.unlink()
