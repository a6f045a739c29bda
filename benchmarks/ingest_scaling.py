"""How much faster two ``ioa server ingest`` processes are than one.

The messages are written in a transaction. It is committed once every process owns its partitions,
so that all begin at the same moment.

Example: python -m benchmarks.ingest_scaling --shape float32x784
"""

import secrets
import sys
import time
from contextlib import ExitStack

from benchmarks.bench import Bench, open_bench
from benchmarks.learning_load import SHAPES, Shape, fill_topic, make_producer
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.watching import count

PROCESSES = (1, 2)
COLUMNS = {
    "rate": Column("messages/s", better="more"),
    "of_one": Column("of one", "{:.2f} x", better="more"),
}
AIMS = (Aim("2 x ioa server ingest", "of_one", 1.3),)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=40_000, help="JSON takes two fifths of it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    options = parser.parse_args()
    if options.quick:
        options.messages, options.runs, options.shapes = 20_000, 1, ["int8x64"]
    measured = []
    with open_bench() as bench:
        for name in options.shapes:
            condition = {"database": options.database, "message": name}
            rows = [
                Measurement("ingest_scaling", condition, f"{processes} x ioa server ingest")
                for processes in PROCESSES
            ]
            for _ in range(options.runs):
                shape = SHAPES[name]
                messages = shape.scale(options.messages)
                rates = [
                    measure(bench, shape, options.database, messages, processes)
                    for processes in PROCESSES
                ]
                for row, rate in zip(rows, rates, strict=True):
                    row.runs.append({"rate": rate, "of_one": rate / rates[0]})
            measured += rows
    report(options.out, "ingest_scaling", measured, COLUMNS, AIMS)


def measure(bench: Bench, shape: Shape, database: str, messages: int, processes: int) -> float:
    """Return how many messages per second a number of processes store."""
    kafka = bench.make_topics()
    producer = make_producer(kafka, **{"transactional.id": secrets.token_hex(4)})
    producer.init_transactions()
    producer.begin_transaction()
    encoder_id = shape.manifest.network_id
    load = fill_topic(kafka, shape, encoder_id, count=messages, repeated=0.0, producer=producer)
    with ExitStack() as running:
        engine = running.enter_context(bench.make_database(database, shape))
        for number in range(processes):
            print(f"{database} {shape.name} {number + 1} of {processes}", file=sys.stderr)
            program = ("ioa", "server", "ingest", "--instance", str(number))
            running.enter_context(bench.start(kafka, engine, *program))
        owners = "SELECT count(DISTINCT owner) FROM position"
        while count(engine, owners) < processes:
            time.sleep(0.1)
        time.sleep(2.0)  # until the group is settled
        producer.commit_transaction()
        begin = time.monotonic()
        while count(engine, load.last_rows) < len(load.last_ids):
            time.sleep(0.02)
        return messages / (time.monotonic() - begin)


if __name__ == "__main__":
    main()
