"""Latency and rate of answers over Kafka, compared with an echo and with FastAPI.

The questions are service messages of 64 int8 in Avro with all our headers. ``ioa server infer``
answers with a 64-256-128-64-10 network. It answers at least once, validates the message, looks up
its client and encoder in the registry, and commits offsets after the delivery. The echoes send the
same bytes back without any guarantee: they show what Kafka alone takes. FastAPI does the same
decoding, network and reply over HTTP, but loses open questions when it dies.

With one question at a time HTTP is about four times as fast and always will be, since a question
over Kafka passes the broker twice. Applications that need this speed classify at the client or ask
over HTTP.

One client asks, with 1, 8 or 64 open questions. A ratio compares one turn; medians are shown.

Example: python -m benchmarks.round_trip --quick
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import psutil
from sqlalchemy import Engine

from benchmarks.askers import Asked, Asker, HttpAsker, KafkaAsker, ReplyClientAsker
from benchmarks.bench import ROOT, Bench, open_bench
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.peers import find_python
from benchmarks.service_load import LABELS, SHAPE, make_questions
from benchmarks.watching import measure_cpu_seconds
from schemas.messages.answers import Reply
from schemas.quantiser import dequantise
from schemas.wire.avro_form import decode_answer_avro, decode_latent_avro
from server_classifier.answering.prediction import Classifier
from server_classifier.store.classifiers import latest_classifier
from server_classifier.store.database import reading
from stream.exchange.outgoing_record import OutgoingRecord
from stream.kafka.settings import KafkaSettings
from tests.support.manifests import make_manifest
from tests.support.probe import find_free_address
from tests.support.server import store_classifier

OURS, OUR_CLIENT = "ioa server infer", "ioa server infer, our own client"
ECHO, PATIENT_ECHO, HTTP = "Kafka echo", "Kafka echo, linger 1 ms", "FastAPI and uvicorn"
COLUMNS = {
    "p50_ms": Column("p50 ms", "{:.2f}", better="less"),
    "p99_ms": Column("p99 ms", "{:.2f}", better="less"),
    "rate": Column("answers/s", better="more"),
    "p50_of_echo": Column("p50 of the echo's", "{:.2f} x", better="less"),
    "rate_of_http": Column("answers of FastAPI's", "{:.2f} x", better="more"),
    "cpu_us": Column("CPU us per answer", "{:.0f}", better="less"),
    "rss_mb": Column("MB", "{:.0f}", better="less"),
}
AIMS = [
    Aim(OURS, "p50_of_echo", 1.15, {"in flight": 1}),
    Aim(OURS, "rate_of_http", 1.5, {"in flight": 64}),
    Aim(OURS, "p99_ms", 10.0, {"in flight": 64}),
    *(Aim(OURS, "rss_mb", 150.0, {"in flight": count}) for count in (1, 8, 64)),
]
_QUESTIONS = 512
MakeAsker = Callable[[KafkaSettings, str, list[OutgoingRecord]], Asker]


@dataclass(frozen=True)
class Subject:
    """A program that answers, and the client that asks it.

    Attributes:
        peer: the peer whose environment it needs; None for our own.
    """

    name: str
    module: tuple[str, ...]
    make_asker: MakeAsker = lambda kafka, _, questions: KafkaAsker(kafka, questions)
    peer: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


SUBJECTS = [
    Subject(OURS, ("ioa", "server", "infer")),
    Subject(
        OUR_CLIENT,
        ("ioa", "server", "infer"),
        lambda kafka, _, questions: ReplyClientAsker(kafka, questions),
    ),
    Subject(ECHO, ("benchmarks.subjects.kafka_echo",), environment={"BENCH_LINGER_MS": "0"}),
    Subject(
        PATIENT_ECHO, ("benchmarks.subjects.kafka_echo",), environment={"BENCH_LINGER_MS": "1"}
    ),
    Subject(
        HTTP,
        ("benchmarks.subjects.fastapi_answers",),
        lambda _, address, questions: HttpAsker(address, questions),
        "fastapi",
    ),
]


def main() -> None:
    options = read_options()
    chosen = [
        subject
        for subject in SUBJECTS
        if options.subjects is None or any(map(subject.name.startswith, options.subjects))
    ]
    measured = {
        (count, subject.name): Measurement("round_trip", {"in flight": count}, subject.name)
        for count in options.in_flight
        for subject in chosen
    }
    with open_bench() as bench, bench.make_database("sqlite", SHAPE) as engine:
        model = store_model(bench, engine)
        measure(bench, engine, model, SUBJECTS[-2], options)  # the broker is slow at first
        for _ in range(options.runs):
            for subject in chosen:
                print(subject.name, file=sys.stderr)
                for count, run in measure(bench, engine, model, subject, options).items():
                    measured[count, subject.name].runs.append(run)
    for count in options.in_flight:
        _compare([measured[count, subject.name] for subject in chosen])
    report(options.out, "round_trip", [*measured.values()], COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--in-flight", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--subjects", nargs="+", help="names, or the beginnings of names")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.runs = 1.0, 1
    return options


def store_model(bench: Bench, engine: Engine) -> Path:
    """Store a classifier in the database and, for peers without one, in a folder."""
    manifest = make_manifest(SHAPE.latent_dim)
    store_classifier(engine, manifest.network_id, LABELS, SHAPE.latent_dim)
    with reading(engine) as connection:
        row = latest_classifier(connection, manifest.network_id)
    assert row is not None
    low, high = manifest.output.low, manifest.output.high
    about = {"labels": LABELS, "version": row.version, "low": low, "high": high}
    folder = bench.folder / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(row.onnx)
    (folder / "model.json").write_bytes(orjson.dumps(about))
    return folder


def measure(
    bench: Bench, engine: Engine, model: Path, subject: Subject, options: argparse.Namespace
) -> dict[int, dict[str, float]]:
    """Start the subject and ask it; return the figures for each number of open questions."""
    python = find_python(subject.peer, options.peers) if subject.peer else sys.executable
    kafka, address = bench.make_topics(), find_free_address()
    questions = make_questions(
        kafka, make_manifest(SHAPE.latent_dim).network_id, _QUESTIONS, seed=0
    )
    environment = {"BENCH_ADDRESS": address, "BENCH_MODEL": str(model), **subject.environment}
    figures = {}
    with (
        bench.start(
            kafka, engine, *subject.module, python=python, environment=environment
        ) as process,
        closing(subject.make_asker(kafka, address, questions)) as asker,
    ):
        try:
            for count in options.in_flight:
                check(asker.ask(count, options.seconds / 2), questions, engine)  # warm up
                began = measure_cpu_seconds(process)
                asked = asker.ask(count, options.seconds)
                figures[count] = describe(asked, process, measure_cpu_seconds(process) - began)
        except (TimeoutError, OSError, psutil.Error) as error:
            sys.exit(f"{subject.name}: {error!r}\n{bench.log.read_text()[-3000:]}")
    return figures


def describe(asked: Asked, process: psutil.Process, cpu: float) -> dict[str, float]:
    p50, p99 = np.percentile(asked.taken, [50, 99])
    return {
        "p50_ms": p50 * 1000,
        "p99_ms": p99 * 1000,
        "rate": len(asked.taken) / asked.seconds,
        "cpu_us": cpu / len(asked.taken) * 1e6,
        "rss_mb": process.memory_info().rss / 1e6,
    }


def check(asked: Asked, questions: Iterable[OutgoingRecord], engine: Engine) -> None:
    """Fail unless every answer is the label of the classifier, or the question itself."""
    manifest = make_manifest(SHAPE.latent_dim)
    with reading(engine) as connection:
        row = latest_classifier(connection, manifest.network_id)
    assert row is not None
    classifier = Classifier.load(row)
    for question in questions:
        body = asked.bodies.get(question.message_id)
        if body is None or body == question.value:
            continue
        codes = decode_latent_avro(question.value).value.to_numpy().reshape(1, -1)
        latent = dequantise(codes, manifest.output.low, manifest.output.high)
        best = classifier.labels[int(classifier.predict(latent).argmax())]
        assert decode_answer_avro(body, Reply).label == best, question.message_id


def _compare(measured: Iterable[Measurement]) -> None:
    """Add to each run its ratios to the faster echo and to FastAPI in the same turn."""
    by_name = {row.subject: row for row in measured}
    echoes = [by_name[name].runs for name in (ECHO, PATIENT_ECHO) if name in by_name]
    http = by_name[HTTP].runs if HTTP in by_name else []
    for row in by_name.values():
        runs = [dict(run) for run in row.runs]
        for turn, run in enumerate(runs):
            if echoes:
                run["p50_of_echo"] = run["p50_ms"] / min(echo[turn]["p50_ms"] for echo in echoes)
            if http:
                run["rate_of_http"] = run["rate"] / http[turn]["rate"]
        row.runs = [*runs]


if __name__ == "__main__":
    main()
