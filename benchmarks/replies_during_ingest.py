"""How long an answer takes while the server is idle, stores, trains, or does both.

One question is open at a time. First the server only answers. Then ``ioa server ingest`` starts on
a topic with many learning messages, and questions are asked until all are stored. Next ``ioa server
train`` learns from these, with so many epochs that it never ends. Last it trains while as many new
messages are stored. The client that asks is not the one that sent the messages: it would also have
to read all their acknowledgements.

Example: python -m benchmarks.replies_during_ingest --messages 100000
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import psutil
from sqlalchemy import Engine

from benchmarks.bench import open_bench
from benchmarks.learning_load import ASKER, fill_topic
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.service_load import LABELS, SHAPE, make_question
from benchmarks.watching import measure_cpu_seconds
from server_classifier.store.database import reading
from server_classifier.store.latents.rows import count_latents
from stream.exchange.reply_client import ReplyClient
from stream.kafka.settings import KafkaSettings
from tests.support.manifests import make_manifest
from tests.support.server import store_classifier

COLUMNS = {
    "answers": Column("answers"),
    "p50_ms": Column("p50 ms", "{:.2f}", better="less"),
    "p99_ms": Column("p99 ms", "{:.2f}", better="less"),
    "of_idle": Column("p99 of idle", "{:.2f} x", better="less"),
    "beside": Column("cores used beside", "{:.2f}"),
}
IDLE, STORING = "idle", "while messages are stored"
TRAINING, BOTH = "while a classifier is trained", "while both"
AIMS = [Aim(subject, "of_idle", 2.0) for subject in (STORING, TRAINING, BOTH)]
_ENDLESS = {
    "IOA_SERVER__TRAINING__EPOCHS": "1000000",
    "IOA_SERVER__TRAINING__MAX_STEPS": "1000000000",
}
_TRAINER_STARTS_SECONDS = 6.0


def main() -> None:
    options = read_options()
    condition = {"database": options.database, "messages": f"{options.messages:,}"}
    measured = {
        subject: Measurement("replies_during_ingest", condition, subject)
        for subject in (IDLE, STORING, TRAINING, BOTH)
    }
    for _ in range(options.runs):
        for subject, result in compare(options).items():
            measured[subject].runs.append(result)
    report(options.out, "replies_during_ingest", [*measured.values()], COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.messages, options.runs = 10_000, 1
    return options


def compare(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure all subjects on the same server."""
    encoder_id = make_manifest(SHAPE.latent_dim).network_id
    results: dict[str, dict[str, float]] = {}
    with open_bench() as bench, bench.make_database(options.database, SHAPE) as engine:
        kafka = bench.make_topics()
        store_classifier(engine, encoder_id, LABELS, SHAPE.latent_dim)
        fill_topic(kafka, SHAPE, encoder_id, count=options.messages, repeated=0.0)
        start = partial(bench.start, kafka, engine, "ioa", "server")

        with start("infer"), ReplyClient(kafka, ASKER) as reply_client:
            reply_client.connect(30.0, since=None)

            def measure(subject: str, until: Callable[[], bool], *beside: psutil.Process) -> None:
                before, began = sum(map(measure_cpu_seconds, beside)), time.monotonic()
                seconds = ask(reply_client, kafka, encoder_id, until=until)
                cpu = sum(map(measure_cpu_seconds, beside)) - before
                results[subject] = describe(seconds, cpu / (time.monotonic() - began))

            ask(reply_client, kafka, encoder_id, until=_after(3.0))  # warm up
            measure(IDLE, _after(options.seconds))
            with start("ingest") as ingester:
                measure(STORING, _seldom(partial(_holds, engine, options.messages)), ingester)
            with start("train", environment=_ENDLESS) as trainer:
                ask(reply_client, kafka, encoder_id, until=_after(_TRAINER_STARTS_SECONDS))
                measure(TRAINING, _after(options.seconds), trainer)
                fill_topic(kafka, SHAPE, encoder_id, count=options.messages, repeated=0.0, seed=1)
                all_stored = _seldom(partial(_holds, engine, 2 * options.messages))
                with start("ingest") as ingester:
                    measure(BOTH, all_stored, ingester, trainer)
    for result in results.values():
        result["of_idle"] = result["p99_ms"] / results[IDLE]["p99_ms"]
    return results


def ask(
    reply_client: ReplyClient, kafka: KafkaSettings, encoder_id: str, *, until: Callable[[], bool]
) -> list[float]:
    """Ask one question after the other; return the seconds of each answer."""
    rng = np.random.default_rng(0)
    taken = []
    while not until():
        question = make_question(kafka, encoder_id, rng)
        sent = time.perf_counter()
        reply_client.send([question])
        while not any(
            answer.in_reply_to == question.message_id for answer in reply_client.poll(1.0).answers
        ):
            pass
        taken.append(time.perf_counter() - sent)
    return taken


def describe(seconds: list[float], beside: float) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, [50, 99])
    return {
        "answers": len(seconds),
        "p50_ms": p50 * 1000,
        "p99_ms": p99 * 1000,
        "beside": beside,
    }


def _holds(engine: Engine, messages: int) -> bool:
    with reading(engine) as connection:
        return count_latents(connection) == messages


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _seldom(check: Callable[[], bool]) -> Callable[[], bool]:
    """Return a check that runs at most four times a second, since counting rows is expensive."""
    checked_at = time.monotonic()

    def check_seldom() -> bool:
        nonlocal checked_at
        if time.monotonic() - checked_at < 0.25:
            return False
        checked_at = time.monotonic()
        return check()

    return check_seldom


if __name__ == "__main__":
    main()
