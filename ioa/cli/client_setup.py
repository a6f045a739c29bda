"""What the commands of ``ioa client`` work with, made from the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.errors import SettingsError
from ioa.settings import Settings, load_settings

if TYPE_CHECKING:
    from client_autoencoder.outbox.courier import Courier
    from client_autoencoder.outbox.outbox import Outbox
    from client_autoencoder.sending import Progress as OnProgress

_CONNECT_SECONDS = 5.0
_MIB = 2**20
_DAY = 86400.0


def load(
    config: Path | None, bootstrap: str | None, prefix: str | None, **client: object
) -> Settings:
    """Read the settings of a client; see ``load_settings``."""
    return load_settings(
        config, kafka={"bootstrap_servers": bootstrap, "prefix": prefix}, client=client
    )


def read_client_id(settings: Settings) -> str:
    """Return the client's id.

    Raises:
        SettingsError: nobody named one.
        SchemaError: it is no valid id.
    """
    from schemas.validation import check_name

    client_id = settings.client.client_id
    if not client_id:
        raise SettingsError("--client-id is missing; see `ioa client publish --help`")
    check_name("clientID", client_id)
    return client_id


def outbox_path(settings: Settings) -> Path:
    """Return the file that holds the client's messages until they are answered."""
    return settings.client.outbox / f"{read_client_id(settings)}.db"


def open_outbox(settings: Settings) -> "Outbox":
    """Open the client's outbox for this process alone.

    Raises:
        OutboxError: it cannot be used.
    """
    import time

    from client_autoencoder.outbox.entries import Limits
    from client_autoencoder.outbox.outbox import Outbox

    client = settings.client
    return Outbox(
        outbox_path(settings),
        owner=f"client {client.client_id} with topics {settings.kafka.prefix}.*",
        limits=Limits(client.outbox_mib * _MIB, client.outbox_days * _DAY, client.resend_seconds),
        clock=time.time,
    )


@contextmanager
def open_courier(settings: Settings) -> Iterator["Courier"]:
    """Open the client's outbox, and connect; a broker that is away is told and waited for.

    Raises:
        OutboxError: the outbox cannot be used.
        StreamError: the broker refuses us, or does not know this client.
    """
    import time

    from client_autoencoder.outbox.courier import Courier
    from stream.errors import KafkaRefused, KafkaUnavailable
    from stream.relay import Relay

    with open_outbox(settings) as outbox, Relay(settings.kafka, read_client_id(settings)) as relay:
        courier = Courier(outbox, relay, time.monotonic)
        try:
            courier.connect(_CONNECT_SECONDS)
        except KafkaRefused:
            raise
        except KafkaUnavailable as error:
            typer.echo(f"{error} Messages wait in {outbox.path} until it is back.", err=True)
        yield courier


@contextmanager
def progress(what: str, quiet: bool) -> Iterator["OnProgress"]:
    """Draw a bar of how many messages were sent and are done."""
    from ioa.progress import show_progress

    with show_progress(what, quiet=quiet, total=0) as show:
        yield lambda sent, done: show(total=sent, completed=done)
