"""Messages of one exchange and one client, and which of them were answered."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from schemas.messages import headers as names
from stream.exchange.exchanges import Exchange
from stream.exchange.message_ids import make_message_id
from stream.exchange.topics import Topics
from stream.kafka.offsets import read_ranges
from stream.kafka.range_reader import read_records
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.server import RunningServer, add_trained_classifier, run_server
from tests.support.topics import Headers, send_raw

CLIENT = "radiology-1"
LABELS = ("chest", "hand", "head")


class Questions:
    """The messages by their numbers; making this makes the topics."""

    def __init__(self, bootstrap: str, prefix: str, exchange: Exchange) -> None:
        self.kafka = KafkaSettings(bootstrap_servers=bootstrap, prefix=prefix)
        self.exchange = exchange
        self.topic = Topics(prefix).of(exchange).name
        create_topics(self.kafka, Topics(prefix).shared())

    def send(self, *numbers: int, partition: int = 0, compression: str = "none") -> None:
        """Send one batch; the encoder is the client's default."""
        bodies: list[tuple[bytes, Headers]] = [(self.make_body(number), []) for number in numbers]
        send_raw(
            self.kafka.bootstrap_servers,
            self.topic,
            bodies,
            partition=partition,
            compression=compression,
        )

    def make_body(self, number: int) -> bytes:
        """Return a good message."""
        fields = {
            "clientID": CLIENT,
            "label": "hand",
            "value": [0.125, 1.5, -0.25, 0.5],
            "mode": self.exchange.name,
            "timestamp": "2026-11-21 10:00:00",
            "messageID": make_message_id(number, bytes(10)),
        }
        return json.dumps({"message": fields}).encode()

    def read_answered(self) -> list[int]:
        """Return the numbers of the messages that were answered so far."""
        replies = Topics(self.kafka.prefix).replies(CLIENT).name
        ranges = read_ranges(AdminClient(self.kafka.client_config()), replies)
        ids = {make_message_id(number, bytes(10)): number for number in range(100)}
        answers = [dict(record.headers) for record in read_records(self.kafka, ranges)]
        return sorted(ids[answer[names.CORRELATION_ID].decode()] for answer in answers)

    def wait_for(self, *numbers: int, seconds: float) -> None:
        """Wait until these were answered, each as often as it stands there, and no others."""
        end = time.monotonic() + seconds
        while (answered := self.read_answered()) != [*numbers]:
            assert time.monotonic() < end, f"answered are {answered}, not {numbers}"
            time.sleep(0.1)


@contextmanager
def serving(questions: Questions, folder: Path) -> Iterator[RunningServer]:
    """Run a server that knows the client and has a classifier, until the block ends."""
    with run_server(questions.kafka, folder) as server:
        server.register(CLIENT, default_encoder=server.encoder_id)
        add_trained_classifier(server, LABELS)
        yield server
