"""How fast messages get from Kafka into the database, compared with a ceiling and two peers.

A topic is filled, and each subject in turn reads it into a new database. ``ioa server ingest`` and
the hand loop give the same guarantees: rows and positions in one transaction, every message
acknowledged after the commit. FastStream and Quix Streams deliver at least once and validate
nothing. The time goes from the first row that is seen to the last.

Example: python -m benchmarks.ingest --quick
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psutil
from sqlalchemy import Engine

from benchmarks.bench import ROOT, Bench, open_bench
from benchmarks.learning_load import SHAPES, Load, Shape, fill_topic
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.peers import find_python
from benchmarks.watching import count, measure_cpu_seconds
from stream.kafka.settings import KafkaSettings

OURS, HAND = "ioa server ingest", "hand loop"
ACKNOWLEDGING, QUIX = "FastStream batch, acknowledging", "Quix Streams, its sink"
ALL_ROWS = "SELECT count(*) FROM latent"
_LIMIT_SECONDS = 300.0
COLUMNS = {
    "rate": Column("messages/s", better="more"),
    "of_hand": Column("of the hand loop", "{:.2f} x", better="more"),
    "of_acknowledging": Column("of FastStream, acknowledging", "{:.2f} x", better="more"),
    "of_quix": Column("of Quix Streams", "{:.2f} x", better="more"),
    "cpu_us": Column("CPU us per message", "{:.1f}", better="less"),
    "first_seconds": Column("first row after s", "{:.2f}", better="less"),
    "rss_mb": Column("MB at the end", "{:.0f}", better="less"),
}
AIMS = (
    Aim(OURS, "of_hand", 0.7),
    Aim(OURS, "of_acknowledging", 3.0),
    Aim(OURS, "of_quix", 3.0),
    Aim(OURS, "first_seconds", 0.5),
    Aim(OURS, "rss_mb", 150.0),
)


@dataclass(frozen=True)
class Subject:
    """A program that reads the topic into the database.

    Attributes:
        peer: the peer whose environment it needs; None for our own.
    """

    name: str
    module: tuple[str, ...]
    peer: str | None = None
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    environment: Mapping[str, str] | None = None


SUBJECTS = [
    Subject(OURS, ("ioa", "server", "ingest")),
    Subject(HAND, ("benchmarks.subjects.hand_loop",)),
    Subject("FastStream batch", ("benchmarks.subjects.faststream_batch",), "faststream"),
    Subject(
        ACKNOWLEDGING,
        ("benchmarks.subjects.faststream_batch",),
        "faststream",
        environment={"BENCH_ACKNOWLEDGE": "1"},
    ),
    Subject(QUIX, ("benchmarks.subjects.quix_sink",), "quix", ("postgresql",)),
]


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    with open_bench() as bench:
        for database, shape, repeated in product(
            options.databases, options.shapes, options.repeated
        ):
            measured += compare(bench, database, SHAPES[shape], repeated, options)
    report(options.out, "ingest", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="JSON takes two fifths of it")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--repeated", nargs="+", type=float, default=[0.0, 0.01])
    parser.add_argument("--subjects", nargs="+", help="names, or the beginnings of names")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers")
    options = parser.parse_args()
    if options.quick:
        options.shapes, options.repeated, options.runs = ["int8x64", "int8x16x7x7"], [0.0], 1
        options.messages = 10_000
    return options


def compare(
    bench: Bench, database: str, shape: Shape, repeated: float, options: argparse.Namespace
) -> list[Measurement]:
    """Let every subject read the same topic in turn."""
    messages = shape.scale(options.messages)
    kafka = bench.make_topics()
    encoder_id = shape.manifest.network_id
    load = fill_topic(kafka, shape, encoder_id, count=messages, repeated=repeated)
    condition = {"database": database, "message": shape.name, "repeated": f"{repeated:.0%}"}
    chosen = [subject for subject in SUBJECTS if _is_chosen(subject, database, options.subjects)]
    measured = [Measurement("ingest", condition, subject.name) for subject in chosen]
    for _ in range(options.runs):
        for subject, row in zip(chosen, measured, strict=True):
            print(f"{database} {shape.name} {repeated:.0%} {row.subject}", file=sys.stderr)
            with bench.make_database(database, shape) as engine:
                row.runs.append(run(bench, kafka, engine, subject, load, options.peers))
    for figure, other in (
        ("of_hand", HAND),
        ("of_acknowledging", ACKNOWLEDGING),
        ("of_quix", QUIX),
    ):
        add_ratios(measured, figure, other)
    return measured


def run(
    bench: Bench, kafka: KafkaSettings, engine: Engine, subject: Subject, load: Load, peers: Path
) -> dict[str, float]:
    """Start the subject, wait until every message is stored, and end it."""
    python = find_python(subject.peer, peers) if subject.peer else sys.executable
    environment = {"BENCH_GROUP": secrets.token_hex(4), **(subject.environment or {})}
    started = time.monotonic()
    with bench.start(
        kafka, engine, *subject.module, python=python, environment=environment
    ) as process:
        try:
            return watch(process, engine, load, started)
        except (TimeoutError, psutil.Error) as error:
            sys.exit(f"{subject.name}: {error!r}\n{bench.log.read_text()[-3000:]}")


def watch(process: psutil.Process, engine: Engine, load: Load, started: float) -> dict[str, float]:
    """Measure from the first row that is seen to the last."""
    first = _poll(process, engine, ALL_ROWS, lambda rows: rows > 0, pause=0.005)
    begin, cpu = time.monotonic(), measure_cpu_seconds(process)
    _poll(
        process,
        engine,
        load.last_rows,
        lambda rows: rows == len(load.last_ids),
        pause=0.02,
    )
    rest = load.messages - first
    seconds, cpu = time.monotonic() - begin, measure_cpu_seconds(process) - cpu
    rss = process.memory_info().rss
    stored = count(engine, ALL_ROWS)
    assert stored == load.distinct, f"{stored} rows of {load.distinct}"
    return {
        "rate": rest / seconds,
        "cpu_us": cpu / rest * 1e6,
        "first_seconds": begin - started,
        "rss_mb": rss / 1e6,
    }


def _poll(
    process: psutil.Process,
    engine: Engine,
    query: str,
    enough: Callable[[int], bool],
    *,
    pause: float,
) -> int:
    """Repeat a query until its number is enough, and return the number."""
    give_up = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < give_up:
        number = count(engine, query)
        if enough(number):
            return number
        if process.status() == psutil.STATUS_ZOMBIE:
            raise TimeoutError("it ended")
        time.sleep(pause)
    raise TimeoutError(f"not done after {_LIMIT_SECONDS:.0f} s")


def _is_chosen(subject: Subject, database: str, wanted: Iterable[str] | None) -> bool:
    named = wanted is None or any(map(subject.name.startswith, wanted))
    return named and database in subject.databases


def add_ratios(measured: Iterable[Measurement], figure: str, other: str) -> None:
    """Add to each run the ratio of its rate to that of another subject in the same turn."""
    by_name = {row.subject: row for row in measured}
    if other not in by_name:
        return
    rates = [run["rate"] for run in by_name[other].runs]
    for row in by_name.values():
        row.runs = [
            {**run, figure: run["rate"] / rate} for run, rate in zip(row.runs, rates, strict=True)
        ]


if __name__ == "__main__":
    main()
