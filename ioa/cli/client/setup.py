"""What the commands of a client work with, made from the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ioa.errors import IoaError, UsageError

if TYPE_CHECKING:
    from client_autoencoder.client import Client
    from client_autoencoder.exchanges.local_exit import Threshold
    from client_autoencoder.exchanges.messages import Progress as OnProgress
    from client_autoencoder.privacy.mechanism import Mechanism
    from ioa.settings import Settings
    from stream.exchange.exchanges import Exchange


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


def require_training() -> None:
    """Check that PyTorch and what goes with it is installed.

    Raises:
        IoaError: a package is missing; the text says how to install it.
    """
    missing = [name for name in ("torch", "onnx", "safetensors") if find_spec(name) is None]
    if missing:
        raise IoaError(
            f"training needs {', '.join(missing)}: pip install '.[train]' in the project's folder"
        )


def make_mechanism(
    name: str, epsilon: float | None, delta: float | None, clip: float | None
) -> "Mechanism":
    """Return the mechanism that the options describe.

    Raises:
        UsageError: they do not belong together.
        ClientError: a number is out of its range.
    """
    from client_autoencoder.privacy.mechanism import GaussianMechanism, NoMechanism, system_noise

    if name == "none":
        if (epsilon, delta, clip) != (None, None, None):
            raise UsageError("--epsilon, --delta and --clip belong to --mechanism gaussian")
        return NoMechanism()
    if epsilon is None or delta is None or clip is None:
        raise UsageError("--mechanism gaussian needs --epsilon, --delta and --clip")
    return GaussianMechanism(epsilon=epsilon, delta=delta, clip=clip, noise=system_noise)


def read_threshold(text: str | None) -> "Threshold | None":
    """Return what ``--exit`` says.

    Raises:
        UsageError: it is neither a number nor ``auto``.
    """
    try:
        return None if text is None else "auto" if text == "auto" else float(text)
    except ValueError as error:
        raise UsageError(f"--exit is {text!r}; it must be a probability or auto") from error


def open_client(
    settings: "Settings", mechanism: "Mechanism | None" = None, *, encodes: bool = True
) -> "Client":
    """Return what publishes, asks and drains; its encoder is loaded where it ``encodes``.

    Raises:
        UsageError: nobody named a client or an encoder.
    """
    from client_autoencoder.client import Client

    read_client_id(settings)
    if encodes and settings.client.encoder is None:
        raise UsageError("--encoder is missing; see `ioa client publish --help`")
    options = settings.client.model_dump(
        exclude={"max_skip"} if encodes else {"max_skip", "encoder"}
    )
    options |= settings.kafka.model_dump(include={"bootstrap_servers", "prefix", "extra"})
    return Client(**options, mechanism=mechanism, on_notice=_tell)


def find_outboxes(settings: "Settings") -> "dict[Exchange[Any], Path]":
    """Return the client's outboxes that exist, or the one for learning where there are none."""
    from client_autoencoder import connection

    read_client_id(settings)
    return connection.find_outboxes(settings.client)


@contextmanager
def show_sent(what: str, quiet: bool) -> Iterator["OnProgress"]:
    """Draw a bar of how many messages were sent and are done."""
    from ioa.run.progress import show_progress

    with show_progress(what, quiet=quiet, total=0) as show:
        yield lambda sent, done: show(total=sent, completed=done)


def _tell(notice: str) -> None:
    typer.echo(notice, err=True)
