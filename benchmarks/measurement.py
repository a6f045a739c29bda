"""Results of benchmarks, as JSON lines and as a table."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, Literal

_PACKAGES = (
    "confluent-kafka",
    "fastavro",
    "numpy",
    "onnxruntime",
    "psycopg",
    "pyarrow",
    "sqlalchemy",
    "torch",
)


@dataclass(frozen=True)
class Column:
    """How a figure is shown, and whether more or less of it is better."""

    heading: str
    format: str = "{:,.0f}"
    better: Literal["more", "less", ""] = ""


@dataclass(frozen=True)
class Aim:
    """The bound that a figure of a subject should reach.

    Attributes:
        where: the conditions under which the aim holds; all if empty.
    """

    subject: str
    figure: str
    bound: float
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Measurement:
    """A row of results: one subject under one condition.

    Attributes:
        runs: the figures of each run, by name and unit.
    """

    benchmark: str
    condition: dict[str, Any]
    subject: str
    runs: list[Mapping[str, float]] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Return the median of a figure over all runs."""
        return median(run[name] for run in self.runs)

    def to_json(self) -> str:
        """Return the row as a line of JSON."""
        medians = {name: round(self.median(name), 4) for name in self.runs[0]}
        return json.dumps(
            {
                "benchmark": self.benchmark,
                "condition": self.condition,
                "subject": self.subject,
                "medians": medians,
                "runs": [dict(run) for run in self.runs],
            }
        )


def describe_machine() -> dict[str, Any]:
    """Return the date, the hardware and the versions that the figures depend on."""
    return {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def make_parser(about: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a short run with rough figures")
    parser.add_argument("--out", type=Path, help="also write the results into this folder")
    return parser


def report(
    folder: Path | None,
    name: str,
    measured: Sequence[Measurement],
    columns: Mapping[str, Column],
    aims: Sequence[Aim] = (),
) -> None:
    """Print the table; with a folder, write it as ``name.md`` and all runs as ``name.jsonl``.

    Args:
        columns: by the name of the figure.
        aims: shown beside the figures by ``benchmarks.summary``, but not asserted.
    """
    if not measured:
        sys.exit("nothing was measured: no subject has a name that begins like one of --subjects")
    machine = describe_machine()
    table = "\n".join(_make_table(measured, columns))
    about = ", ".join(f"{key} {value}" for key, value in machine.items())
    print(table)
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    head = {
        "benchmark": name,
        "machine": machine,
        "columns": {key: asdict(column) for key, column in columns.items()},
        "aims": [asdict(aim) for aim in aims],
    }
    lines = [json.dumps(head), *(row.to_json() for row in measured)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.md").write_text(f"{table}\n\nMedians. {about}.\n")


def print_spread(measured: Sequence[Measurement], figures: Iterable[str]) -> None:
    """Print mean and standard deviation over the runs, where these are of different seeds."""
    for row in measured:
        for figure in figures:
            values = [run[figure] for run in row.runs]
            spread = stdev(values) if len(values) > 1 else 0.0
            print(f"{row.condition} {row.subject}: {figure} {mean(values):.3f} ± {spread:.3f}")


def _make_table(measured: Sequence[Measurement], columns: Mapping[str, Column]) -> Iterable[str]:
    headings = [*measured[0].condition, "subject", *(column.heading for column in columns.values())]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in measured:
        cells = [*map(str, row.condition.values()), row.subject]
        for key, column in columns.items():
            cells.append(column.format.format(row.median(key)) if key in row.runs[0] else "")
        yield f"| {' | '.join(cells)} |"
