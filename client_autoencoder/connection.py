"""A client's outboxes and what connects them to a broker, made from its settings.

Each exchange has an outbox, so that a client may ask while another of its processes publishes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Clock, Outbox
from client_autoencoder.outbox.relay import OutboxRelay
from client_autoencoder.settings import ClientSettings
from schemas.messages.validation import check_name
from stream.errors import KafkaRefused, KafkaUnavailable
from stream.exchange.exchanges import EXCHANGES, LEARNING, Exchange
from stream.exchange.reply_client import ReplyClient
from stream.kafka.settings import KafkaSettings

OnNotice = Callable[[str], None]
"""Called with what a person should know although the work goes on."""

_CONNECT_SECONDS = 5.0
_QUESTION_PARTS = 4
_LINGER_MS = 5  # records that nobody waits for travel cheaper together
_MIB = 2**20
_DAY = 86400.0


def find_outboxes(client: ClientSettings) -> dict[Exchange[Any], Path]:
    """Return the client's outboxes that exist, or the one for learning where there are none.

    Those come first for whose answers somebody waits.

    Raises:
        SchemaError: the client's id is none.
    """
    by_haste = sorted(EXCHANGES, key=_has_deadline, reverse=True)
    paths = {exchange: outbox_path(client, exchange) for exchange in by_haste}
    existing = {exchange: path for exchange, path in paths.items() if path.exists()}
    return existing or {LEARNING: paths[LEARNING]}


def outbox_path(client: ClientSettings, exchange: Exchange[Any] = LEARNING) -> Path:
    """Return the file that holds the client's requests of an exchange until they are answered.

    Raises:
        SchemaError: the client's id is none.
    """
    name = client.client_id
    check_name("clientID", name)
    return client.outbox / f"{name}{exchange.outbox}.db"


def open_outbox(
    client: ClientSettings,
    kafka: KafkaSettings,
    exchange: Exchange[Any] = LEARNING,
    *,
    clock: Clock,
) -> Outbox:
    """Open an outbox of the client for this process alone.

    Args:
        clock: seconds since the Unix epoch.

    Raises:
        OutboxError: it cannot be used.
    """
    resend = client.resend_seconds
    if _has_deadline(exchange):
        # Soon enough that the answer still comes before the deadline.
        resend = min(resend, client.timeout_seconds / _QUESTION_PARTS)
    return Outbox(
        outbox_path(client, exchange),
        owner=f"client {client.client_id} with topics {kafka.prefix}.*",
        limits=Limits(client.outbox_mib * _MIB, client.outbox_days * _DAY, resend),
        clock=clock,
    )


@contextmanager
def open_relay(
    client: ClientSettings,
    kafka: KafkaSettings,
    exchange: Exchange[Any] = LEARNING,
    *,
    clock: Clock,
    on_notice: OnNotice,
    answers: bool = True,
) -> Iterator[OutboxRelay]:
    """Open an outbox of the client and connect it; a broker that is away may come back later.

    Args:
        clock: seconds since the Unix epoch.
        on_notice: told where no broker answers.
        answers: whether the server's answers are waited for.

    Raises:
        OutboxError: the outbox cannot be used.
        StreamError: the broker refuses us, or does not know this client.
    """
    linger_ms = 0 if _has_deadline(exchange) else _LINGER_MS
    with (
        open_outbox(client, kafka, exchange, clock=clock) as outbox,
        ReplyClient(kafka, client.client_id, linger_ms=linger_ms, answers=answers) as reply_client,
    ):
        relay = OutboxRelay(outbox, reply_client, time.monotonic)
        try:
            relay.connect(_CONNECT_SECONDS)
        except KafkaRefused:
            raise
        except KafkaUnavailable as error:
            on_notice(f"{error} Messages wait in {outbox.path} until it is back.")
        yield relay


def _has_deadline(exchange: Exchange[Any]) -> bool:
    return exchange.kept == "until deadline"
