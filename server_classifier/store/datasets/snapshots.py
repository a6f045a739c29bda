"""The latents of a dataset in a folder of ``.npy`` files, which processes map and share."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.errors import DatasetError
from stream.artefacts.atomic_file import replace_atomically

_ARRAYS = ("values", "targets", "site_of", "groups", "received_at")
_FACTS = ("labels", "sites", "digest", "encoder_id", "skipped", "with_subject", "with_image")


def write_snapshot(latents: DatasetLatents, folder: Path) -> None:
    """Write latents to a new folder, which ``read_snapshot`` reads.

    It holds a ``.npy`` file for each array, the rest in ``facts.json``, and the SHA-256 over them.

    Raises:
        DatasetError: it cannot be written; nothing is left of it.
    """
    try:
        with replace_atomically(folder) as draft:
            draft.mkdir()
            for name in _ARRAYS:
                np.save(draft / f"{name}.npy", getattr(latents, name))
            facts = {name: getattr(latents, name) for name in _FACTS}
            (draft / "facts.json").write_bytes(orjson.dumps(facts))
            (draft / "sha256").write_bytes(_compute_sum(draft))
    except OSError as error:
        raise DatasetError(
            f"the snapshot {folder} cannot be written: {error.strerror}; make room there, or name "
            "another folder (for temporary files: TMPDIR)"
        ) from error


def read_snapshot(folder: Path) -> DatasetLatents:
    """Map what ``write_snapshot`` wrote into memory, which processes on one machine then share.

    A process that writes to an array changes a copy of its own.

    Raises:
        DatasetError: the snapshot is missing, damaged or something else.
    """
    try:
        sound = (folder / "sha256").read_bytes() == _compute_sum(folder)
    except OSError as error:
        raise DatasetError(
            f"there is no snapshot {folder} to read ({error}); make it again"
        ) from error
    if not sound:
        raise DatasetError(f"the snapshot {folder} is damaged or none of ours; make it again")
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in _ARRAYS}
    facts: dict[str, Any] = orjson.loads((folder / "facts.json").read_bytes())
    facts |= {name: tuple(facts[name]) for name in ("labels", "sites")}
    return DatasetLatents(**arrays, **facts)


def _compute_sum(folder: Path) -> bytes:
    """Return the SHA-256 over the sums of all files but that of the sum itself."""
    whole = hashlib.sha256()
    for name in (*(f"{array}.npy" for array in _ARRAYS), "facts.json"):
        with (folder / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.digest()
