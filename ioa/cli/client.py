"""``ioa client``: send images to be learned from, or ask what they show."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ioa.cli.options import Bootstrap, Config, Json, Prefix
from ioa.errors import SettingsError
from ioa.settings import Settings, load_settings

if TYPE_CHECKING:
    from client_autoencoder.images import ImageBatch, Skipped
    from client_autoencoder.privacy.mechanism import Privatizer
    from client_autoencoder.sending import LearningReport, MessageMaker, ServiceReport
    from client_autoencoder.sending import Progress as OnProgress

app = typer.Typer(
    help="Send images to be learned from, or ask what they show.", no_args_is_help=True
)

SKIPPED_TOO_MANY = 3

Data = Annotated[
    str,
    typer.Option(help="digits, an NPZ file, a folder per class, or one PNG or JPEG file."),
]
ClientId = Annotated[
    str | None,
    typer.Option(help="Who sends [env: IOA_CLIENT__CLIENT_ID]", show_default=False),
]
EncoderDirectory = Annotated[
    Path | None,
    typer.Option(
        "--encoder",
        help="Written by `ioa encoder train` [env: IOA_CLIENT__ENCODER]",
        show_default=False,
    ),
]
Split = Annotated[str | None, typer.Option(help="Part of an NPZ file, as train for train_images.")]
Limit = Annotated[int | None, typer.Option(help="Send at most so many images.", min=1)]
Form = Annotated[
    Literal["avro", "json"] | None,
    typer.Option("--format", help="Default avro [env: IOA_CLIENT__FORM]", show_default=False),
]
MaxSkip = Annotated[
    float | None,
    typer.Option(
        help="Exit code 3 when more than this share of the images cannot be read. Default 0.02 "
        "[env: IOA_CLIENT__MAX_SKIP]",
        show_default=False,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds without an answer after which to give up. Default 60 "
        "[env: IOA_CLIENT__TIMEOUT_SECONDS]",
        show_default=False,
    ),
]
Epsilon = Annotated[float | None, typer.Option(help="Of the gaussian privatizer, per image.")]
Delta = Annotated[float | None, typer.Option(help="Of the gaussian privatizer.")]
Clip = Annotated[float | None, typer.Option(help="Largest length (L2 norm) of a latent.")]


@app.command()
def publish(
    data: Data,
    client_id: ClientId = None,
    encoder: EncoderDirectory = None,
    split: Split = None,
    label: Annotated[
        str | None, typer.Option(help="Of images that are in no class folder.")
    ] = None,
    limit: Limit = None,
    privatizer: Annotated[
        Literal["none", "gaussian"], typer.Option(help="gaussian is research, no guarantee yet.")
    ] = "none",
    epsilon: Epsilon = None,
    delta: Delta = None,
    clip: Clip = None,
    form: Form = None,
    max_skip: MaxSkip = None,
    timeout: Timeout = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send labelled images to be learned from, and wait until the server has stored them.

    Example: ioa client publish --data images/ --client-id radiology-1 --encoder encoder/
    """
    from client_autoencoder.sending import check_labels, publish

    settings = _load(config, bootstrap, prefix, client_id, encoder, form, max_skip, timeout)
    mechanism = _make_privatizer(privatizer, epsilon, delta, clip)
    maker = _make_maker(settings, mechanism)
    source = _open(data, split, label)
    order = _choose(source, limit)
    check_labels(source, order)
    skipped: list[Skipped] = []
    with _exchange(settings) as exchange, _progress("stored", as_json) as on_progress:
        report = publish(
            _batches(source, skipped, maker, order),
            maker,
            exchange,
            timeout=settings.client.timeout_seconds,
            on_progress=on_progress,
        )
    _print_learning(report, skipped, as_json)
    _exit(report.acknowledged == report.sent, skipped, report.sent, settings)


@app.command()
def ask(
    data: Data,
    client_id: ClientId = None,
    encoder: EncoderDirectory = None,
    split: Split = None,
    limit: Limit = None,
    in_flight: Annotated[
        int, typer.Option(help="Questions that may be open at a time.", min=1)
    ] = 16,
    form: Form = None,
    max_skip: MaxSkip = None,
    timeout: Timeout = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Ask the server what images show.

    Example: ioa client ask --data new.png --client-id radiology-1 --encoder encoder/
    """
    from client_autoencoder.privacy.mechanism import NoPrivatizer
    from client_autoencoder.sending import ask

    settings = _load(config, bootstrap, prefix, client_id, encoder, form, max_skip, timeout)
    maker = _make_maker(settings, NoPrivatizer())
    source = _open(data, split, None)
    order = _choose(source, limit)
    skipped: list[Skipped] = []
    with _exchange(settings) as exchange, _progress("answered", as_json) as on_progress:
        report = ask(
            _batches(source, skipped, maker, order),
            maker,
            exchange,
            timeout=settings.client.timeout_seconds,
            in_flight=in_flight,
            on_progress=on_progress,
        )
    _print_service(report, skipped, as_json)
    _exit(len(report.answered) == report.sent, skipped, report.sent, settings)


def _load(
    config: Path | None,
    bootstrap: str | None,
    prefix: str | None,
    client_id: str | None,
    encoder: Path | None,
    form: str | None,
    max_skip: float | None,
    timeout: float | None,
) -> Settings:
    client = {
        "client_id": client_id,
        "encoder": encoder,
        "form": form,
        "max_skip": max_skip,
        "timeout_seconds": timeout,
    }
    return load_settings(
        config, kafka={"bootstrap_servers": bootstrap, "prefix": prefix}, client=client
    )


def _make_maker(settings: Settings, privatizer: "Privatizer") -> "MessageMaker":
    import secrets
    from datetime import UTC, datetime

    from client_autoencoder.encoder import Encoder
    from client_autoencoder.sending import MessageMaker
    from schemas import avro_form, json_form
    from schemas.validation import check_name

    client = settings.client
    if not client.client_id or client.encoder is None:
        missing = "--client-id" if not client.client_id else "--encoder"
        raise SettingsError(f"{missing} is missing; see `ioa client publish --help`")
    check_name("clientID", client.client_id)
    return MessageMaker(
        client_id=client.client_id,
        encoder=Encoder.load(client.encoder),
        privatizer=privatizer,
        form=avro_form.CONTENT_TYPE if client.form == "avro" else json_form.CONTENT_TYPE,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
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


def _open(data: str, split: str | None, label: str | None) -> Any:
    from client_autoencoder.image_sources import open_source

    return open_source(data, split=split, label=label)


def _choose(source: Any, limit: int | None) -> list[int]:
    import numpy as np

    from client_autoencoder.image_sets import draw

    # A part of a folder holds all its classes in their shares, and is the same part every time.
    return draw(source, limit, np.random.default_rng(0))


def _batches(
    source: Any, skipped: list["Skipped"], maker: "MessageMaker", order: list[int]
) -> Iterator["ImageBatch"]:
    from client_autoencoder.images import read_batches

    manifest = maker.encoder.manifest
    return read_batches(source, skipped, size=(manifest.height, manifest.width), order=order)


def _exchange(settings: Settings) -> Any:
    import time

    from stream.exchange import Exchange

    return Exchange(settings.kafka, settings.client.client_id, time.monotonic)


@contextmanager
def _progress(what: str, quiet: bool) -> Iterator["OnProgress"]:
    from ioa.progress import show_progress

    with show_progress(what, quiet=quiet, total=0) as show:
        yield lambda sent, done: show(total=sent, completed=done)


def _print_learning(report: "LearningReport", skipped: list["Skipped"], as_json: bool) -> None:
    _print_skipped(skipped)
    for name, reason in report.refused.items():
        print(f"refused: {name}: {reason}", file=sys.stderr)
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"skipped": [asdict(one) for one in skipped]}))
        return
    size = report.value_bytes // max(report.sent, 1)
    typer.echo(
        f"sent {report.sent}, acknowledged {report.acknowledged}, refused {len(report.refused)}, "
        f"unanswered {len(report.unanswered)}, skipped {len(skipped)}; {size} bytes a latent"
    )
    if report.unanswered:
        typer.echo("no acknowledgement in time: is `ioa server ingest` running?", err=True)


def _print_service(report: "ServiceReport", skipped: list["Skipped"], as_json: bool) -> None:
    _print_skipped(skipped)
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"skipped": [asdict(one) for one in skipped]}))
        return
    for one in report.predictions:
        if one.error is None:
            typer.echo(
                f"{one.name}: {one.label} ({one.probability:.1%}, model {one.model_version})"
            )
        else:
            typer.echo(f"{one.name}: no answer: {one.error}")
    if report.unanswered:
        typer.echo(
            f"{len(report.unanswered)} without a reply in time: is `ioa server infer` running?",
            err=True,
        )


def _print_skipped(skipped: list["Skipped"]) -> None:
    for one in skipped:
        print(f"skipped: {one.name}: {one.reason}", file=sys.stderr)


def _exit(complete: bool, skipped: list["Skipped"], sent: int, settings: Settings) -> None:
    from client_autoencoder.images import too_many_skipped

    if not complete:
        raise typer.Exit(1)
    if too_many_skipped(len(skipped), sent + len(skipped), settings.client.max_skip):
        raise typer.Exit(SKIPPED_TOO_MANY)
