"""``ioa client``: send images to be learned from, or ask what they show."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from ioa.cli.client import outbox as outbox_commands
from ioa.cli.client.options import (
    Augment,
    ClientId,
    Clip,
    Data,
    Delta,
    Dtype,
    EncoderDirectory,
    Epsilon,
    Form,
    InFlight,
    Label,
    Limit,
    MaxSkip,
    OutboxDirectory,
    PrivatizerName,
    Seed,
    Split,
    Timeout,
)
from ioa.cli.client.reports import print_learning, print_service
from ioa.cli.client.setup import load, open_relay, outbox_path, progress, read_client_id
from ioa.cli.options import Bootstrap, Config, Json, Prefix
from ioa.errors import SettingsError
from ioa.settings import Settings

if TYPE_CHECKING:
    from client_autoencoder.exchanges.messages import MessageMaker
    from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped
    from client_autoencoder.privacy.mechanism import Privatizer

app = typer.Typer(
    help="Send images to be learned from, or ask what they show.", no_args_is_help=True
)

app.add_typer(outbox_commands.app, name="outbox")
app.command()(outbox_commands.status)

SKIPPED_TOO_MANY = 3


@app.command()
def publish(
    data: Data,
    client_id: ClientId = None,
    encoder: EncoderDirectory = None,
    split: Split = None,
    label: Label = None,
    limit: Limit = None,
    augment: Augment = 0,
    seed: Seed = None,
    privatizer: PrivatizerName = "none",
    epsilon: Epsilon = None,
    delta: Delta = None,
    clip: Clip = None,
    form: Form = None,
    dtype: Dtype = None,
    max_skip: MaxSkip = None,
    timeout: Timeout = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send labelled images to be learned from, and wait until the server has stored them.

    Messages wait in the outbox, on the disk, until the server has answered: one that was killed is
    finished by the next, or by `ioa client outbox drain`. Publishing the same images again sends
    them again.

    Example: ioa client publish --data images/ --client-id radiology-1 --encoder encoder/
    """
    from client_autoencoder.exchanges.learning import check_labels, publish
    from client_autoencoder.images.batches import join_batches

    settings = load(
        config,
        bootstrap,
        prefix,
        client_id=client_id,
        encoder=encoder,
        form=form,
        dtype=dtype,
        max_skip=max_skip,
        timeout_seconds=timeout,
        outbox=outbox,
    )
    mechanism = _make_privatizer(privatizer, epsilon, delta, clip)
    maker = _make_maker(settings, mechanism)
    source = _open(data, split, label)
    order = _choose(source, limit)
    check_labels(source, order)
    skipped: list[Skipped] = []
    batches = _augment(_batches(source, skipped, maker, order), augment, seed)
    with open_relay(settings) as relay, progress("stored", as_json) as on_progress:
        report = publish(
            join_batches(batches),
            maker,
            relay,
            skipped=skipped,
            timeout=settings.client.timeout_seconds,
            on_progress=on_progress,
        )
    print_learning(report, skipped, outbox_path(settings), as_json)
    _exit(report.acknowledged == report.sent, skipped, report.images, settings)


@app.command()
def ask(
    data: Data,
    client_id: ClientId = None,
    encoder: EncoderDirectory = None,
    split: Split = None,
    limit: Limit = None,
    in_flight: InFlight = 16,
    form: Form = None,
    dtype: Dtype = None,
    max_skip: MaxSkip = None,
    timeout: Timeout = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Ask the server what images show.

    A question that nobody answers within --timeout expires. Until then it is on the disk: one whose
    process was killed goes on with the next, or with `ioa client outbox drain`.

    Example: ioa client ask --data new.png --client-id radiology-1 --encoder encoder/
    """
    from client_autoencoder.exchanges.service import ask
    from client_autoencoder.privacy.mechanism import NoPrivatizer

    settings = load(
        config,
        bootstrap,
        prefix,
        client_id=client_id,
        encoder=encoder,
        form=form,
        dtype=dtype,
        max_skip=max_skip,
        timeout_seconds=timeout,
        outbox=outbox,
    )
    maker = _make_maker(settings, NoPrivatizer())
    source = _open(data, split, None)
    order = _choose(source, limit)
    skipped: list[Skipped] = []
    with (
        open_relay(settings, "service") as relay,
        progress("answered", as_json) as on_progress,
    ):
        report = ask(
            _batches(source, skipped, maker, order),
            maker,
            relay,
            timeout=settings.client.timeout_seconds,
            in_flight=in_flight,
            on_progress=on_progress,
        )
    print_service(report, skipped, as_json)
    _exit(len(report.answered) == report.sent, skipped, report.sent, settings)


def _make_maker(settings: Settings, privatizer: "Privatizer") -> "MessageMaker":
    import secrets
    from datetime import UTC, datetime

    from client_autoencoder.encoders.runtime import Encoder
    from client_autoencoder.exchanges.messages import MessageMaker
    from schemas.wire import avro_form, json_form

    client = settings.client
    client_id = read_client_id(settings)
    if client.encoder is None:
        raise SettingsError("--encoder is missing; see `ioa client publish --help`")
    return MessageMaker(
        client_id=client_id,
        encoder=Encoder.load(client.encoder),
        privatizer=privatizer,
        form=avro_form.CONTENT_TYPE if client.form == "avro" else json_form.CONTENT_TYPE,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
        dtype=client.dtype,
    )


def _make_privatizer(
    name: str, epsilon: float | None, delta: float | None, clip: float | None
) -> "Privatizer":
    from client_autoencoder.privacy.mechanism import (
        GaussianPrivatizer,
        NoPrivatizer,
        system_noise,
    )

    if name == "none":
        if (epsilon, delta, clip) != (None, None, None):
            raise SettingsError("--epsilon, --delta and --clip belong to --privatizer gaussian")
        return NoPrivatizer()
    if epsilon is None or delta is None or clip is None:
        raise SettingsError("--privatizer gaussian needs --epsilon, --delta and --clip")
    return GaussianPrivatizer(epsilon=epsilon, delta=delta, clip=clip, noise=system_noise)


def _open(data: str, split: str | None, label: str | None) -> "ImageSource":
    from client_autoencoder.images.sources import open_source

    return open_source(data, split=split, label=label)


def _choose(source: "ImageSource", limit: int | None) -> list[int]:
    import numpy as np

    from client_autoencoder.images.sets import draw

    # A part of a folder holds all its classes in their shares, and is the same part every time.
    return draw(source, limit, np.random.default_rng(0))


def _batches(
    source: "ImageSource", skipped: list["Skipped"], maker: "MessageMaker", order: list[int]
) -> Iterator["ImageBatch"]:
    from client_autoencoder.images.batches import read_batches

    manifest = maker.encoder.manifest
    return read_batches(source, skipped, size=(manifest.height, manifest.width), order=order)


def _augment(
    batches: Iterable["ImageBatch"], copies: int, seed: int | None
) -> Iterable["ImageBatch"]:
    if not copies:
        if seed is not None:
            raise SettingsError("--seed belongs to --augment")
        return batches
    import secrets

    import numpy as np

    from client_autoencoder.images.augmentation import augment_batches

    rng = np.random.default_rng(seed)
    return augment_batches(batches, copies, rng, lambda: secrets.token_hex(16))


def _exit(complete: bool, skipped: list["Skipped"], images: int, settings: Settings) -> None:
    from client_autoencoder.images.batches import too_many_skipped

    if not complete:
        raise typer.Exit(1)
    if too_many_skipped(len(skipped), images + len(skipped), settings.client.max_skip):
        raise typer.Exit(SKIPPED_TOO_MANY)
