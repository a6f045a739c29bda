"""A load of learning messages, and counts of how many the database has stored."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray
from sqlalchemy import Engine

from schemas.messages import headers as names
from schemas.messages.latent import Aggregate, LatentMessage, Mode, Privacy
from schemas.vector import Vector
from schemas.wire import avro_form
from stream.exchange.message_ids import make_message_id
from tests.support.message_counts import MessageCounts, count_rows
from tests.support.server import LATENT_DIM
from tests.support.waiting import LONG

AVRO = [(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())]
"""Headers of a message in Avro."""
_BURST = 100
_PAUSE_SECONDS = 0.05


class Load:
    """Sends the messages of one client as fast as the broker takes them.

    One message in a hundred is sent twice with the same id and bytes, as by a client that got no
    acknowledgement.

    Attributes:
        ids: message ids that were sent so far.
    """

    def __init__(
        self, bootstrap: str, topic: str, client_id: str, encoder_id: str, *, seed: int
    ) -> None:
        self._topic = topic
        self._client_id = client_id
        self._encoder_id = encoder_id
        self._random = np.random.default_rng(seed)
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
        self.ids: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send until the block ends."""
        stop = Event()

        def run() -> None:
            while not stop.wait(_PAUSE_SECONDS):
                self.send(_BURST)

        thread = Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.flush()

    def flush(self) -> None:
        """Wait until the broker has everything."""
        assert self._producer.flush(LONG) == 0, "the broker did not take everything"

    def send(self, count: int) -> None:
        """Send ``count`` new messages."""
        for _ in range(count):
            message_id = make_message_id(int(time.time() * 1000), self._random.bytes(10))
            self.ids.append(message_id)
            now = datetime.now(UTC).replace(microsecond=0)
            latent = np.zeros(LATENT_DIM, np.float32)
            body = encode_message(
                message_id, "hand", latent, self._client_id, self._encoder_id, now
            )
            for _ in range(2 if self._random.random() < 0.01 else 1):
                self._producer.produce(
                    self._topic,
                    body,
                    message_id.encode(),
                    headers=[*AVRO],
                )
            self._producer.poll(0)

    def count(self, engine: Engine) -> MessageCounts:
        """Compare the messages sent so far with the rows of the database."""
        return count_rows(engine, self.ids)


def encode_message(
    message_id: str,
    label: str,
    latent: NDArray[np.float32],
    client_id: str,
    encoder_id: str,
    timestamp: datetime,
    mode: Mode = "learning",
) -> bytes:
    """Return a message about one latent [D] in Avro."""
    return avro_form.encode_avro(
        LatentMessage(
            client_id,
            label,
            Vector.from_numpy(latent),
            mode,
            timestamp,
            message_id,
            encoder_id,
            aggregate=Aggregate(),
            privacy=Privacy("none", parameters={}),
        )
    )


def wait_for_rows(load: Load, engine: Engine, seconds: float = LONG) -> MessageCounts:
    """Wait at most ``seconds`` until every message is stored, and return the counts."""
    deadline = time.monotonic() + seconds
    while (counts := load.count(engine)).lost and time.monotonic() < deadline:
        time.sleep(0.2)
    return counts
