"""Reads results that were written before."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measurement import Aim, Column


@dataclass(frozen=True)
class Result:
    """A row: one subject under one condition, with medians and the figures of each run."""

    condition: dict[str, Any]
    subject: str
    medians: dict[str, float]
    runs: list[dict[str, float]]


@dataclass
class Results:
    """The results of one benchmark."""

    benchmark: str
    machine: dict[str, Any]
    columns: dict[str, Column]
    aims: list[Aim]
    rows: list[Result] = field(default_factory=list)


def read_results(path: Path) -> list[Results]:
    """Read a file with the results of one or more benchmarks, or all such files of a folder.

    Raises:
        SystemExit: a file or line cannot be read; says which.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise SystemExit(f"{path} holds no results (*.jsonl)")
    results: list[Results] = []
    for file in files:
        try:
            lines = file.read_text().splitlines()
        except OSError as error:
            raise SystemExit(f"{file} cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, 1):
            try:
                _add_line(json.loads(line), results)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise SystemExit(f"{file}, line {number}: not a result ({error!r})") from error
    return results


def _add_line(values: dict[str, Any], results: list[Results]) -> None:
    """Add a benchmark for its head line, or a row to the last benchmark."""
    if "columns" in values:
        columns = {key: Column(**column) for key, column in values["columns"].items()}
        aims = [Aim(**aim) for aim in values["aims"]]
        results.append(Results(values["benchmark"], values["machine"], columns, aims))
        return
    row = Result(values["condition"], values["subject"], values["medians"], values["runs"])
    results[-1].rows.append(row)
