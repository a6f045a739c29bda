"""Whether ``ioa server ingest`` grows while it stores many messages.

Example: python -m benchmarks.ingest_memory --messages 500000
"""

import time

from sqlalchemy import Engine

from benchmarks.bench import open_bench
from benchmarks.learning_load import SHAPES, fill_topic
from benchmarks.measurement import Column, Measurement, make_parser, report
from server_classifier.store.database import reading
from server_classifier.store.latents import count_latents
from tests.support.server import make_manifest

_PARTS = 10
COLUMNS = {
    "rss_mb": Column("MB", "{:.0f}", better="less"),
    "messages_per_second": Column("messages/s so far", better="more"),
}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"])
    parser.add_argument("--shape", default="int8x64", choices=list(SHAPES))
    options = parser.parse_args()
    if options.quick:
        options.messages = min(options.messages, 50_000)
    measured = measure(options.messages, options.database, options.shape)
    report(options.out, "ingest_memory", measured, COLUMNS)


def measure(messages: int, database: str, shape_name: str) -> list[Measurement]:
    """Fill a topic, start the ingester, and look at it after each tenth of the messages."""
    shape = SHAPES[shape_name]
    measured = []
    with open_bench() as bench, bench.make_database(database, shape) as engine:
        kafka = bench.make_topics()
        encoder_id = make_manifest(shape.latent_dim).encoder_id
        for part in range(_PARTS):
            fill_topic(kafka, shape, encoder_id, count=messages // _PARTS, repeated=0.01, seed=part)
        started = time.monotonic()
        with bench.start(kafka, engine, "ioa", "server", "ingest") as process:
            for part in range(1, _PARTS + 1):
                while (stored := _count(engine)) < part * (messages // _PARTS):
                    time.sleep(0.1)
                condition = {"database": database, "message": shape_name, "stored": f"{stored:,}"}
                rate = stored / (time.monotonic() - started)
                one = Measurement("ingest_memory", condition, "ioa server ingest")
                one.runs.append(
                    {"rss_mb": process.memory_info().rss / 1e6, "messages_per_second": rate}
                )
                measured.append(one)
    return measured


def _count(engine: Engine) -> int:
    with reading(engine) as connection:
        return count_latents(connection)


if __name__ == "__main__":
    main()
