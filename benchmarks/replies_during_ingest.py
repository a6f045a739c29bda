"""How long an answer takes while nothing else happens, and while learning messages pile in.

One question is under way at a time. First the server only answers; then ``ioa server ingest`` is
started on a topic that holds many learning messages, and questions go on until all are stored. Who
asks is not who has sent those: else it would also have to read as many acknowledgements.

Example: python -m benchmarks.replies_during_ingest --messages 100000
"""

import argparse
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from benchmarks.bench import open_bench
from benchmarks.learning_load import ASKER, SHAPES, fill_topic
from benchmarks.measurement import Column, Measurement, make_parser, report
from schemas import avro_form
from schemas.messages import LatentMessage
from schemas.vector import Vector
from server_classifier.store.database import reading
from server_classifier.store.latents import count_latents
from stream.identity import make_message_id
from stream.letter import Letter, make_letter
from stream.relay import Relay
from stream.settings import KafkaSettings
from stream.topics import Topics
from tests.support.server import make_manifest, store_classifier

COLUMNS = {
    "answers": Column("answers"),
    "p50_ms": Column("p50 ms", "{:.2f}", better="less"),
    "p99_ms": Column("p99 ms", "{:.2f}", better="less"),
    "of_idle": Column("p99 of idle", "{:.2f} x", better="less"),
}
_SHAPE = SHAPES["int8x64"]


def main() -> None:
    options = read_options()
    measured = [
        Measurement("replies_during_ingest", {"database": options.database}, subject)
        for subject in ("idle", f"while {options.messages:,} messages are stored")
    ]
    for _ in range(options.runs):
        for one, result in zip(measured, compare(options), strict=True):
            one.runs.append(result)
    report(options.out, "replies_during_ingest", measured, COLUMNS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--idle-seconds", type=float, default=10.0)
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.messages, options.runs = min(options.messages, 20_000), 1
    return options


def compare(options: argparse.Namespace) -> list[dict[str, float]]:
    """Measure both on one server."""
    encoder_id = make_manifest(_SHAPE.latent_dim).encoder_id
    with open_bench() as bench, bench.make_database(options.database, _SHAPE) as engine:
        kafka = bench.make_topics()
        store_classifier(engine, encoder_id, ["ring", "bar", "square"], _SHAPE.latent_dim)
        fill_topic(kafka, _SHAPE, encoder_id, count=options.messages, repeated=0.0)

        def all_stored() -> bool:
            with reading(engine) as connection:
                return count_latents(connection) == options.messages

        with bench.start(kafka, engine, "ioa", "server", "infer"), Relay(kafka, ASKER) as relay:
            relay.connect(30.0, since=None)
            ask(relay, kafka, encoder_id, until=_after(3.0))  # until everything is warm
            idle = ask(relay, kafka, encoder_id, until=_after(options.idle_seconds))
            with bench.start(kafka, engine, "ioa", "server", "ingest"):
                busy = ask(relay, kafka, encoder_id, until=_seldom(all_stored))
    p99 = float(np.percentile(idle, 99))
    return [describe(seconds, p99) for seconds in (idle, busy)]


def ask(
    relay: Relay, kafka: KafkaSettings, encoder_id: str, *, until: Callable[[], bool]
) -> list[float]:
    """Ask one question after the other; return the seconds that each took."""
    rng = np.random.default_rng(0)
    taken = []
    while not until():
        letter = make_question(kafka, encoder_id, rng)
        sent = time.perf_counter()
        relay.send([letter])
        while not any(one.in_reply_to == letter.message_id for one in relay.look(1.0).answers):
            pass
        taken.append(time.perf_counter() - sent)
    return taken


def make_question(kafka: KafkaSettings, encoder_id: str, rng: np.random.Generator) -> Letter:
    message = LatentMessage(
        ASKER,
        "",
        Vector.from_numpy(rng.integers(-128, 128, _SHAPE.latent_dim, np.int8)),
        "service",
        datetime.now(UTC).replace(microsecond=0),
        make_message_id(int(time.time() * 1000), secrets.token_bytes(10)),
        encoder_id,
    )
    return make_letter(message, avro_form.CONTENT_TYPE, Topics(kafka.prefix))


def describe(seconds: list[float], idle_p99: float) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, [50, 99])
    return {
        "answers": len(seconds),
        "p50_ms": p50 * 1000,
        "p99_ms": p99 * 1000,
        "of_idle": p99 / idle_p99,
    }


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _seldom(check: Callable[[], bool]) -> Callable[[], bool]:
    """Return a check that looks at most four times a second: counting rows costs, too."""
    looked_at = time.monotonic()

    def look() -> bool:
        nonlocal looked_at
        if time.monotonic() - looked_at < 0.25:
            return False
        looked_at = time.monotonic()
        return check()

    return look


if __name__ == "__main__":
    main()
