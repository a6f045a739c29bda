"""What a study leaves on disk: one JSON file per trial, each whole or not there."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ioa.research.studies.conditions import Conditions
from ioa.research.studies.configuration import describe_faults
from ioa.research.studies.errors import StudyError
from ioa.research.studies.scoring import Scores


class TrialRecord(BaseModel):
    """What one trial came to: scores, or the reason why there are none.

    Attributes:
        trial: all that decides the result (``Trial.describe``).
        weights_sha256: of the classifier's ONNX file.
        seconds: of training and test; of trials that were trained at once, an equal share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["ioa-trial/1"] = "ioa-trial/1"
    id: str
    dataset: str
    trial: dict[str, Any]
    scores: Scores | None = None
    failure: str | None = None
    rows_learned: int = 0
    rows_tested: int = 0
    weights_sha256: str | None = None
    seconds: float
    conditions: Conditions


Record = TypeVar("Record", bound=BaseModel)


def write_record(file: Path, record: BaseModel) -> None:
    """Write a record as JSON. Raises StudyError where that is not possible."""
    write_whole(file, record.model_dump_json(indent=1).encode() + b"\n")


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that nobody, even after a crash, finds half of it.

    Raises:
        StudyError: it cannot be written; nothing of it is left.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(partial).replace(file)
        finally:
            Path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise StudyError(
            f"{file} cannot be written: {error.strerror}; what is done is kept: see to it, and run "
            "the same again"
        ) from error


def read_records(kind: type[Record], folder: Path, ids: Iterable[str]) -> dict[str, Record]:
    """Return those of the records that are there, by id.

    Raises:
        StudyError: a file is no such record.
    """
    files = {one: folder / f"{one}.json" for one in ids}
    return {one: read_record(kind, file) for one, file in files.items() if file.exists()}


def read_record(kind: type[Record], file: Path) -> Record:
    """Return one record. Raises StudyError where it is missing or another kind of file."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        faults = describe_faults(error)
        raise StudyError(f"{file} is not of this program: {faults}; move it away") from error
