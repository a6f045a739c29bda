"""What CPU and memory ``ioa server ingest`` needs while the database grows.

One message in a hundred is sent twice. Each rate is that since the previous mark, so that a
database that becomes slower as it fills is seen.

Example: python -m benchmarks.ingest_growth --messages 1000000
"""

import sys
import time

from sqlalchemy import Engine

from benchmarks.bench import Bench, open_bench
from benchmarks.learning_load import SHAPES, Shape, fill_topic
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.watching import measure_cpu_seconds
from server_classifier.store.database import reading
from server_classifier.store.latents.rows import count_latents

OURS = "ioa server ingest"
_MARKS = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
_FILL = 50_000  # messages that are made at once
COLUMNS = {
    "rate": Column("messages/s", better="more"),
    "cpu_us": Column("CPU us per message", "{:.1f}", better="less"),
    "rss_mb": Column("MB", "{:.0f}", better="less"),
    "of_first": Column("of the first MB", "{:.2f} x", better="less"),
}
_LAST = {"stored": _MARKS[-1]}
AIMS = (Aim(OURS, "rss_mb", 150.0, _LAST), Aim(OURS, "of_first", 1.1, _LAST))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=_MARKS[-1])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--shape", default="int8x64", choices=list(SHAPES))
    options = parser.parse_args()
    if options.quick:
        options.messages = 20_000
    measured: list[Measurement] = []
    with open_bench() as bench:
        for database in options.databases:
            measured += measure(bench, SHAPES[options.shape], database, options.messages)
    report(options.out, "ingest_growth", measured, COLUMNS, AIMS)


def measure(bench: Bench, shape: Shape, database: str, messages: int) -> list[Measurement]:
    """Fill a topic, start the ingester, and measure it at every mark."""
    kafka = bench.make_topics()
    encoder_id = shape.manifest.network_id
    for start in range(0, messages, _FILL):
        count = min(_FILL, messages - start)
        fill_topic(kafka, shape, encoder_id, count=count, repeated=0.01, seed=start)
        print(f"{database}: {start + count:,} of {messages:,} written", file=sys.stderr)
    measured: list[Measurement] = []
    with (
        bench.make_database(database, shape) as engine,
        bench.start(kafka, engine, "ioa", "server", "ingest") as process,
    ):
        wait_for_rows(engine, 1)
        stored, moment, cpu = 0, time.monotonic(), measure_cpu_seconds(process)
        for mark in (mark for mark in _MARKS if mark <= messages):
            now_stored = wait_for_rows(engine, mark)
            now, now_cpu = time.monotonic(), measure_cpu_seconds(process)
            condition = {"database": database, "message": shape.name, "stored": mark}
            row = Measurement("ingest_growth", condition, OURS)
            rss = process.memory_info().rss / 1e6
            first = measured[0].median("rss_mb") if measured else rss
            row.runs.append(
                {
                    "rate": (now_stored - stored) / (now - moment),
                    "cpu_us": (now_cpu - cpu) / (now_stored - stored) * 1e6,
                    "rss_mb": rss,
                    "of_first": rss / first,
                }
            )
            measured.append(row)
            stored, moment, cpu = now_stored, now, now_cpu
    return measured


def wait_for_rows(engine: Engine, enough: int) -> int:
    """Wait until at least ``enough`` rows are stored, and return their number."""
    while True:
        with reading(engine) as connection:
            stored = count_latents(connection)
        if stored >= enough:
            return stored
        time.sleep(0.05 if enough < 100_000 else 0.5)  # counting many rows is expensive


if __name__ == "__main__":
    main()
