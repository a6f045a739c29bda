"""What the commands of a client work with, made from the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.errors import UsageError

if TYPE_CHECKING:
    from client_autoencoder.exchanges.messages import MessageMaker
    from client_autoencoder.exchanges.messages import Progress as OnProgress
    from client_autoencoder.outbox.outbox import Outbox
    from client_autoencoder.outbox.relay import OutboxRelay
    from client_autoencoder.privacy.mechanism import Privatizer
    from ioa.settings import Settings
    from schemas.messages.latent import Mode

_CONNECT_SECONDS = 5.0
_QUESTION_PARTS = 4
# Somebody waits for an answer; messages to be learned from travel cheaper together.
_LINGER_MS: "dict[Mode, int]" = {"service": 0, "learning": 5}
_MIB = 2**20
_DAY = 86400.0


def read_client_id(settings: "Settings") -> str:
    """Return the client's id.

    Raises:
        UsageError: nobody named one.
        SchemaError: it is no valid id.
    """
    from schemas.messages.validation import check_name

    client_id = settings.client.client_id
    if not client_id:
        raise UsageError("--client-id is missing; see `ioa client publish --help`")
    check_name("clientID", client_id)
    return client_id


def make_privatizer(
    name: str, epsilon: float | None, delta: float | None, clip: float | None
) -> "Privatizer":
    """Return the privatizer that the options describe.

    Raises:
        UsageError: they do not belong together.
        ClientError: a number is out of its range.
    """
    from client_autoencoder.privacy.mechanism import GaussianPrivatizer, NoPrivatizer, system_noise

    if name == "none":
        if (epsilon, delta, clip) != (None, None, None):
            raise UsageError("--epsilon, --delta and --clip belong to --privatizer gaussian")
        return NoPrivatizer()
    if epsilon is None or delta is None or clip is None:
        raise UsageError("--privatizer gaussian needs --epsilon, --delta and --clip")
    return GaussianPrivatizer(epsilon=epsilon, delta=delta, clip=clip, noise=system_noise)


def make_maker(settings: "Settings", privatizer: "Privatizer") -> "MessageMaker":
    """Load the client's encoder and return what makes messages of images with it.

    Raises:
        UsageError: nobody named a client or an encoder.
    """
    import secrets
    from datetime import UTC, datetime

    from client_autoencoder.encoders.runtime import Encoder
    from client_autoencoder.exchanges.messages import MessageMaker
    from schemas.wire import avro_form, json_form

    client = settings.client
    client_id = read_client_id(settings)
    if client.encoder is None:
        raise UsageError("--encoder is missing; see `ioa client publish --help`")
    return MessageMaker(
        client_id=client_id,
        encoder=Encoder.load(client.encoder),
        privatizer=privatizer,
        form=avro_form.CONTENT_TYPE if client.form == "avro" else json_form.CONTENT_TYPE,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
        dtype=client.dtype,
    )


def outbox_path(settings: "Settings", mode: "Mode" = "learning") -> Path:
    """Return the file that holds the client's messages of a mode until they are answered."""
    name = read_client_id(settings)
    return settings.client.outbox / (f"{name}.db" if mode == "learning" else f"{name}.questions.db")


def find_outboxes(settings: "Settings") -> "dict[Mode, Path]":
    """Return the client's outboxes that exist, or the one for learning where there are none."""
    modes: tuple[Mode, ...] = ("service", "learning")
    paths = {mode: outbox_path(settings, mode) for mode in modes}
    existing = {mode: path for mode, path in paths.items() if path.exists()}
    return existing or {"learning": paths["learning"]}


def open_outbox(settings: "Settings", mode: "Mode" = "learning") -> "Outbox":
    """Open an outbox of the client for this process alone.

    Raises:
        OutboxError: it cannot be used.
    """
    import time

    from client_autoencoder.outbox.entries import Limits
    from client_autoencoder.outbox.outbox import Outbox

    client = settings.client
    resend = client.resend_seconds
    if mode == "service":
        # Soon enough that the answer still comes before the deadline.
        resend = min(resend, client.timeout_seconds / _QUESTION_PARTS)
    return Outbox(
        outbox_path(settings, mode),
        owner=f"client {client.client_id} with topics {settings.kafka.prefix}.*",
        limits=Limits(client.outbox_mib * _MIB, client.outbox_days * _DAY, resend),
        clock=time.time,
    )


@contextmanager
def open_relay(settings: "Settings", mode: "Mode" = "learning") -> Iterator["OutboxRelay"]:
    """Open an outbox of the client and connect it; a broker that is away may come back later.

    Raises:
        OutboxError: the outbox cannot be used.
        StreamError: the broker refuses us, or does not know this client.
    """
    import time

    from client_autoencoder.outbox.relay import OutboxRelay
    from stream.errors import KafkaRefused, KafkaUnavailable
    from stream.exchange.reply_client import ReplyClient

    with (
        open_outbox(settings, mode) as outbox,
        ReplyClient(
            settings.kafka, read_client_id(settings), linger_ms=_LINGER_MS[mode]
        ) as reply_client,
    ):
        relay = OutboxRelay(outbox, reply_client, time.monotonic)
        try:
            relay.connect(_CONNECT_SECONDS)
        except KafkaRefused:
            raise
        except KafkaUnavailable as error:
            typer.echo(f"{error} Messages wait in {outbox.path} until it is back.", err=True)
        yield relay


@contextmanager
def show_sent(what: str, quiet: bool) -> Iterator["OnProgress"]:
    """Draw a bar of how many messages were sent and are done."""
    from ioa.run.progress import show_progress

    with show_progress(what, quiet=quiet, total=0) as show:
        yield lambda sent, done: show(total=sent, completed=done)
