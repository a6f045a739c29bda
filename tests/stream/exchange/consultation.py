"""An exchange that the platform does not know: a doctor asks another one, in a JSON of their own.

As a program it is the server of it: ``python -m tests.stream.exchange.consultation BROKER PREFIX
OPINIONS``. It is killed between storing and answering where a file ``kill`` lies beside OPINIONS.
"""

import json
import os
import secrets
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from schemas.errors import SchemaError
from stream.dead_letters.writer import DeadLetterWriter
from stream.exchange.codec import decode_request
from stream.exchange.exchanges import REFUSAL, AnswerKind, Exchange
from stream.exchange.responder import Responder
from stream.exchange.topics import Topics
from stream.kafka.consumer import RecordConsumer
from stream.kafka.producer import Publisher
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings


@dataclass
class Consultation:
    """The request."""

    client_id: str
    message_id: str | None
    question: str

    @property
    def kind(self) -> str:
        return "consultation"


@dataclass
class Opinion:
    """The answer."""

    client_id: str
    in_reply_to: str | None
    message_id: str | None
    text: str


def write(message: Consultation | Opinion, _content_type: str) -> bytes:
    return json.dumps(vars(message)).encode()


def read_consultation(value: bytes, _content_type: str | None) -> Consultation:
    try:
        return Consultation(**json.loads(value))
    except (ValueError, TypeError) as error:
        raise SchemaError("is no consultation") from error


def read_opinion(value: bytes, _content_type: str | None) -> Opinion:
    try:
        return Opinion(**json.loads(value))
    except (ValueError, TypeError) as error:
        raise SchemaError("is no opinion") from error


OPINION = AnswerKind(
    "opinion", Opinion, "answered", write, read_opinion, lambda opinion: opinion.text
)
CONSULTATION = Exchange(
    "consultation",
    Consultation,
    write,
    read_consultation,
    answers=(OPINION,),
    refusal=REFUSAL,
    kept="until answered",
    outbox=".consultations",
    retention_hours=24,
    partitions=2,
    limit=100_000,
    uncompressed_limit=200_000,
    key="clientID",
    read_key=lambda consultation: consultation.client_id,
)


class Consultant:
    """Stores an opinion on each question once, and sends what is stored."""

    def __init__(self, settings: KafkaSettings, topics: Topics, opinions: Path) -> None:
        publisher = Publisher(settings)
        self._responder = Responder(
            publisher,
            topics,
            dead_letter=DeadLetterWriter(publisher, topics).write,
            clock=time.time,
            random=secrets.token_bytes,
        )
        self._kill = opinions.with_name("kill")
        self._store = sqlite3.connect(opinions, isolation_level=None)
        self._store.execute("CREATE TABLE IF NOT EXISTS opinion (id TEXT PRIMARY KEY, text TEXT)")

    def handle(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                request = decode_request(record, CONSULTATION, cluster_id="").message
            except SchemaError as error:
                self._responder.dead_letter(record, error)
                continue
            text = f"on {request.question}: rest"
            row = (request.message_id, text)
            self._store.execute("INSERT OR IGNORE INTO opinion VALUES (?, ?)", row)
            if self._kill.exists():
                self._kill.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            opinion = Opinion(request.client_id, request.message_id, None, text)
            self._responder.answer(record, opinion)
        self._responder.flush()


def count_opinions(opinions: Path) -> int:
    with closing(sqlite3.connect(opinions)) as store:
        (count,) = store.execute("SELECT count(*) FROM opinion").fetchone()
    return int(count)


def main() -> None:
    bootstrap, prefix, opinions = sys.argv[1:]
    settings = KafkaSettings(bootstrap_servers=bootstrap, prefix=prefix)
    topics = Topics(prefix, exchanges=[CONSULTATION])
    consumer = RecordConsumer(
        settings,
        topic=topics.of(CONSULTATION).name,
        group=f"{prefix}.consult",
        instance="0",
        batch_size=10,
    )
    consumer.run(Consultant(settings, topics, Path(opinions)).handle, Event())


if __name__ == "__main__":
    main()
