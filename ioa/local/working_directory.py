"""A directory for one run: kept where asked for, or when the run fails and its logs are wanted."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ioa.errors import SettingsError


@contextmanager
def working_directory(keep: Path | None, prefix: str) -> Iterator[Path]:
    """Yield ``keep``, new or empty, or a temporary directory that is removed at the end.

    A temporary one stays when the block raises, since errors name logs in it.

    Raises:
        SettingsError: there is something in ``keep``.
    """
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise SettingsError(f"{keep} is not empty; name a new directory with --keep")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield directory
    except Exception:
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    else:
        shutil.rmtree(directory, ignore_errors=True)
