"""Results that were written before, read again."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measurement import Aim, Column


@dataclass(frozen=True)
class Result:
    """One subject under one condition: medians, and what each run measured."""

    condition: dict[str, Any]
    subject: str
    medians: dict[str, float]
    runs: list[dict[str, float]]


@dataclass
class Results:
    """What one benchmark has written."""

    benchmark: str
    machine: dict[str, Any]
    columns: dict[str, Column]
    aims: list[Aim]
    rows: list[Result] = field(default_factory=list)


def read_results(place: Path) -> list[Results]:
    """Read a file with results of one or more benchmarks, or all such files of a folder.

    Raises:
        SystemExit: says which file or line cannot be read.
    """
    files = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
    if not files:
        raise SystemExit(f"{place} holds no results (*.jsonl)")
    found: list[Results] = []
    for file in files:
        try:
            lines = file.read_text().splitlines()
        except OSError as error:
            raise SystemExit(f"{file} cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, 1):
            try:
                _take_line(json.loads(line), found)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise SystemExit(f"{file}, line {number}: not a result ({error!r})") from error
    return found


def _take_line(values: dict[str, Any], found: list[Results]) -> None:
    """Begin with a head, or add a row to what the last head has begun."""
    if "columns" in values:
        columns = {key: Column(**column) for key, column in values["columns"].items()}
        aims = [Aim(**aim) for aim in values["aims"]]
        found.append(Results(values["benchmark"], values["machine"], columns, aims))
        return
    row = Result(values["condition"], values["subject"], values["medians"], values["runs"])
    found[-1].rows.append(row)
