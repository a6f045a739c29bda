"""Files that a long run writes one by one, each whole or not there."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ioa.errors import StudyError
from stream.artefacts.atomic_file import write_atomically

Record = TypeVar("Record", bound=BaseModel)


def write_record(file: Path, record: BaseModel) -> None:
    """Write a record as JSON. Raises StudyError where that is not possible."""
    write_whole(file, record.model_dump_json(indent=1).encode() + b"\n")


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises StudyError where that is not possible."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    except OSError as error:
        raise StudyError(
            f"{file} cannot be written: {error.strerror}; what is done is kept: see to it, and run "
            "the same again"
        ) from error


def read_records(kind: type[Record], folder: Path, ids: Iterable[str]) -> dict[str, Record]:
    """Return the records that exist, by id. Raises StudyError where a file is no such record."""
    files = {name: folder / f"{name}.json" for name in ids}
    return {name: read_record(kind, file) for name, file in files.items() if file.exists()}


def read_record(kind: type[Record], file: Path) -> Record:
    """Return one record. Raises StudyError where it is missing or another kind of file."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        faults = describe_faults(error)
        raise StudyError(f"{file} is not of this program: {faults}; move it away") from error


def describe_faults(error: ValidationError) -> str:
    """Return what is wrong with which keys, the first fault of each."""
    faults: dict[str, str] = {}
    for fault in error.errors():
        key = ".".join(word for word in fault["loc"] if isinstance(word, str))
        faults.setdefault(key, fault["msg"].removeprefix("Value error, "))
    return "; ".join(f"{key}: {reason}" if key else reason for key, reason in faults.items())
