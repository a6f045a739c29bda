"""Learning messages as fast as the broker takes them, and the count of what became of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

import numpy as np
from confluent_kafka import Producer
from sqlalchemy import Engine

from schemas.messages import headers as names
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.vector import Vector
from schemas.wire import avro_form
from stream.exchange.message_ids import make_message_id
from tests.support.server import LATENT_DIM
from tests.support.tally import Tally, count_rows
from tests.support.waiting import LONG

_BURST = 100
_PAUSE_SECONDS = 0.05


class Load:
    """One client; one message in a hundred goes out twice, with the same id and bytes.

    As from a client that got no acknowledgement.
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
        """Send without end until the block does."""
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
        """Queue ``count`` new messages."""
        for _ in range(count):
            message_id = make_message_id(int(time.time() * 1000), self._random.bytes(10))
            self.ids.append(message_id)
            body = self._encode(message_id)
            for _ in range(2 if self._random.random() < 0.01 else 1):
                self._producer.produce(
                    self._topic,
                    body,
                    message_id.encode(),
                    headers=[(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())],
                )
            self._producer.poll(0)

    def tally(self, engine: Engine) -> Tally:
        """Compare what was sent so far with the rows of the database."""
        return count_rows(engine, self.ids)

    def _encode(self, message_id: str) -> bytes:
        return avro_form.encode_avro(
            LatentMessage(
                self._client_id,
                "hand",
                Vector.from_numpy(np.zeros(LATENT_DIM, np.float32)),
                "learning",
                datetime.now(UTC).replace(microsecond=0),
                message_id,
                self._encoder_id,
                aggregate=Aggregate(),
                privacy=Privacy("none", parameters={}),
            )
        )


def wait_for_rows(load: Load, engine: Engine, seconds: float = LONG) -> Tally:
    """Wait until nothing that was sent is missing, at most so long, and return the count."""
    deadline = time.monotonic() + seconds
    while (tally := load.tally(engine)).lost and time.monotonic() < deadline:
        time.sleep(0.2)
    return tally
