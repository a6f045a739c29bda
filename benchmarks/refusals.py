"""What refusing a message costs beside storing one, for each reason, in processor time.

For each reason a running ``ioa server ingest`` gets a burst of records that become visible at
once. It writes dead letters and refusals; of those that are stored, rows and acknowledgements.
Measured is its processor time until the position stands behind them. What is about as long as a
stored message is compared record by record. Longer ones are compared byte by byte with a stored
message of 100 kB.

Example: python -m benchmarks.refusals --quick
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import orjson
import psutil
from sqlalchemy import Engine

from benchmarks.bench import open_bench
from benchmarks.learning_load import CLIENT, SHAPES, make_producer
from benchmarks.measurement import Column, Measurement, make_parser, report
from benchmarks.watching import count, measure_cpu_seconds
from schemas.messages import headers as names
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.vector import Vector
from schemas.wire import avro_form
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.exchange.exchanges import LEARNING
from stream.exchange.message_ids import make_message_id
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from tests.support.manifests import make_manifest
from tests.support.server import NOW

STORED = "stored"
COLUMNS = {
    "cpu_us": Column("CPU us per record", better="less"),
    "cpu_ms_mb": Column("CPU ms per MB", "{:.1f}", better="less"),
    "of_stored": Column("of a stored one", "{:.2f} x", better="less"),
}
SHAPE = SHAPES["int8x64"]
LABELS = [f"label {number}" for number in range(100)]
_LONG = 100_000
LONG_DIM = _LONG // 5
_JSON: list[tuple[str, bytes]] = []
_AVRO = [(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())]
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Case:
    """Records of one kind.

    Attributes:
        form: with whose stored message it is compared.
        make: returns the body of the record with a number.
    """

    form: str
    reason: str
    make: Callable[[int], bytes]
    headers: Sequence[tuple[str, bytes]]


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    with open_bench() as bench, bench.make_database("sqlite", SHAPE) as engine:
        with writing(engine) as connection:
            add_encoder(connection, make_manifest(LONG_DIM), now=NOW)
        kafka = bench.make_topics()
        labels = {"IOA_SERVER_LABELS": orjson.dumps(LABELS).decode()}
        with bench.start(kafka, engine, "ioa", "server", "ingest", environment=labels) as process:
            server = Server(kafka, engine, process)
            for case in [*list_cases(), *list_long_cases()]:
                measured.append(measure(case, server, options))
    add_ratios(measured)
    report(options.out, "refusals", measured, COLUMNS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--megabytes", type=float, default=6.0, help="in one burst, and at most")
    parser.add_argument("--records", type=int, default=5_000, help="in one burst, and at most")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.records, options.runs = 2_000, 1
    return options


def list_cases() -> Iterator[Case]:
    """Yield all cases; of each form, what is stored comes first."""
    yield Case("JSON", STORED, write_json, _JSON)
    changed: dict[str, dict[str, Any]] = {
        "unknown client": {"clientID": "stranger"},
        "client's name is none": {"clientID": "Stranger 1"},
        "unknown encoder": {"encoderID": "0" * 64},
        "label not declared": {"label": "x" * 199},
        "label too long": {"label": "x" * 300},
        "wrong length": {"value": [1] * 63},
        "not a number": {"value": [1] * 63 + ["1"]},
        "unknown field": {"lable": "x"},
        "service mode": {"mode": "service", "label": ""},
        "unit too long": {"privacy": {"mechanism": "none", "unit": "x" * 2_001}},
    }
    for reason, changes in changed.items():
        yield Case("JSON", reason, partial(write_json, **changes), _JSON)
    yield Case("JSON", "cut off", lambda number: write_json(number)[:-20], _JSON)
    yield Case("JSON", "key twice", lambda n: write_json(n)[:-2] + b',"label":"x"}}', _JSON)
    yield Case("JSON", "another client's header", write_json, [(names.CLIENT, b"somebody")])
    yield Case("JSON", "unknown content type", write_json, [(names.CONTENT_TYPE, b"text/xml")])
    yield Case("Avro", STORED, write_avro, _AVRO)
    yield Case("Avro", "cut off", lambda number: write_avro(number)[:-20], _AVRO)
    yield Case("Avro", "wrong length", lambda number: write_avro(number, 63), _AVRO)
    yield Case("Avro", "unknown schema", lambda n: b"\xc3\x01" + bytes(8) + write_avro(n), _AVRO)
    yield Case("Avro", "JSON", write_json, _AVRO)


def list_long_cases() -> Iterator[Case]:
    """Yield records of 100 kB and more, of which only the numbers of one are stored."""
    yield Case("long", STORED, write_long, _JSON)
    for reason, body in {
        "blanks": b" " * _LONG,
        "bytes": bytes(_LONG),
        "label": write_json(0, label="x" * _LONG),
        "client": write_json(0, clientID="x" * _LONG),
        "unit": write_json(0, privacy={"mechanism": "none", "unit": "x" * _LONG}),
        "parameter": write_json(0, privacy={"mechanism": "none", "parameters": {"x" * _LONG: 1}}),
        "parameters": write_json(
            0, privacy={"mechanism": "none", "parameters": {str(n): n for n in range(_LONG // 12)}}
        ),
        "texts": write_json(0, value=["x"] * (_LONG // 4)),
        "lists": write_json(0, value=[[]] * (_LONG // 3)),
        "a text as the last number": write_json(
            0, dtype="float32", value=[1.5] * (_LONG // 4) + ["x"]
        ),
        "shape": write_json(0, shape=[1] * (_LONG // 2)),
        "key twice": write_json(0, value=[1] * (_LONG // 2))[:-2] + b',"label":"x"}}',
        "too large (3 MB)": b" " * 3_000_000,
    }.items():
        yield Case("long", reason, partial(repeat, body), _JSON)
    head = write_avro(0)
    shape = head.index(b"\x02\x80\x01")
    sizes = b"\xc0\x9a\x0c" + b"\x02" * _LONG
    yield Case("long", "shape in Avro", lambda _: head[:shape] + sizes, _AVRO)


def repeat(body: bytes, _: int) -> bytes:
    return body


def write_json(number: int, **changes: Any) -> bytes:
    """Return a message that is stored, or one with some fields changed or added."""
    fields = {
        "clientID": CLIENT,
        "label": LABELS[number % 10],
        "value": [number % 100] * SHAPE.latent_dim,
        "dtype": "int8",
        "mode": "learning",
        "timestamp": "2026-11-21 10:00:00",
        "messageID": make_id(),
        "encoderID": make_manifest(SHAPE.latent_dim).network_id,
    }
    return orjson.dumps({"message": fields | changes})


def write_long(number: int) -> bytes:
    """Return a message of 100 kB that is stored."""
    encoder_id = make_manifest(LONG_DIM).network_id
    numbers = [-1.5 - number % 10 / 10] * LONG_DIM
    return write_json(number, value=numbers, dtype="float32", encoderID=encoder_id)


def write_avro(number: int, latent_dim: int = SHAPE.latent_dim) -> bytes:
    """Return a message in Avro; it is stored if the encoder makes so many numbers."""
    return avro_form.encode_avro(
        LatentMessage(
            CLIENT,
            LABELS[number % 10],
            Vector.from_numpy(np.full(latent_dim, number % 100, np.int8)),
            "learning",
            datetime.now(UTC).replace(microsecond=0),
            make_id(),
            make_manifest(SHAPE.latent_dim).network_id,
            aggregate=Aggregate(),
            privacy=Privacy("none", parameters={}),
        )
    )


def make_id() -> str:
    return make_message_id(int(time.time() * 1000), os.urandom(10))


def measure(case: Case, server: "Server", options: argparse.Namespace) -> Measurement:
    """Send bursts of one kind, and measure each."""
    row = Measurement("refusals", {"form": case.form}, case.reason)
    size = len(case.make(0))
    records = max(1, min(options.records, int(options.megabytes * 1e6 / size)))
    server.handle(case, records // 10 + 1)
    for _ in range(options.runs):
        seconds = server.handle(case, records)
        row.runs.append(
            {"cpu_us": seconds / records * 1e6, "cpu_ms_mb": seconds * 1e3 / (records * size / 1e6)}
        )
    print(f"{case.form}, {case.reason}: {row.median('cpu_us'):,.0f} us", file=sys.stderr)
    return row


class Server:
    """A running ``ioa server ingest`` that is sent bursts."""

    def __init__(self, kafka: KafkaSettings, engine: Engine, process: psutil.Process) -> None:
        self._topic = Topics(kafka.prefix).of(LEARNING)
        self._engine = engine
        self._process = process
        self._producer = make_producer(
            kafka, **{"transactional.id": kafka.prefix, "message.max.bytes": "10000000"}
        )
        self._producer.init_transactions(30)
        self._handled = 0

    def handle(self, case: Case, records: int) -> float:
        """Send records, all visible at once; return the seconds of processor time they took."""
        self._producer.begin_transaction()
        for number in range(records):
            self._producer.produce(
                self._topic.name, case.make(number), headers=list(case.headers), partition=0
            )
            self._producer.poll(0)
        self._producer.flush()
        before = measure_cpu_seconds(self._process)
        self._producer.commit_transaction(30)
        self._await(records)
        return measure_cpu_seconds(self._process) - before

    def _await(self, records: int) -> None:
        """Wait until the position has passed the records, and their answers are out."""
        query = f"SELECT sum(next_offset) FROM position WHERE topic = '{self._topic.name}'"
        while count(self._engine, query) < self._handled + records:
            time.sleep(0.02)
        self._handled += records + 1  # the end of the transaction has an offset, too
        time.sleep(_PAUSE_SECONDS)


def add_ratios(measured: Sequence[Measurement]) -> None:
    """Add to each run its ratio to what storing costs: per record, or per byte of long ones."""
    stored = {row.condition["form"]: row for row in measured if row.subject == STORED}
    for row in measured:
        figure = "cpu_ms_mb" if row.condition["form"] == "long" else "cpu_us"
        price = stored[row.condition["form"]].median(figure)
        row.runs = [{**run, "of_stored": run[figure] / price} for run in row.runs]


if __name__ == "__main__":
    main()
