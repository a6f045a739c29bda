"""An outbox and its relay to a real broker, in the test's process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.relay import OutboxRelay
from stream.exchange.reply_client import ReplyClient
from stream.kafka.settings import KafkaSettings


@contextmanager
def open_relay(
    kafka: KafkaSettings,
    client_id: str,
    directory: Path,
    *,
    limits: Limits | None = None,
    delivery_timeout: float = 120.0,
    questions: bool = False,
) -> Iterator[OutboxRelay]:
    """Yield a relay that has not connected yet."""
    outbox = Outbox(
        directory / (f"{client_id}.questions.db" if questions else f"{client_id}.db"),
        owner=f"client {client_id} with topics {kafka.prefix}.*",
        limits=limits or Limits(),
        clock=time.time,
    )
    with outbox, ReplyClient(kafka, client_id, delivery_timeout=delivery_timeout) as reply_client:
        yield OutboxRelay(outbox, reply_client, time.monotonic)
