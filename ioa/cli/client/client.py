"""``ioa client``: register clients, send images to be learned from, or ask what they show."""

import typer

from ioa.cli import registry
from ioa.cli.client.client_reports import print_learning, print_service
from ioa.cli.client.images import TOO_MANY_SKIPPED
from ioa.cli.client.options import (
    Answers,
    Augment,
    ClientId,
    Clip,
    Data,
    Delta,
    Dtype,
    EncoderDirectory,
    Epsilon,
    Exit,
    Form,
    InFlight,
    Label,
    Limit,
    MaxSkip,
    MechanismName,
    OutboxDirectory,
    Seed,
    Split,
    Timeout,
)
from ioa.cli.client.outbox_reports import print_status
from ioa.cli.client.setup import (
    find_outboxes,
    make_mechanism,
    open_client,
    read_threshold,
    show_sent,
)
from ioa.cli.options import Bootstrap, Config, Json, Prefix, load

app = typer.Typer(
    help="Register clients, send images to be learned from, or ask what they show.",
    no_args_is_help=True,
)
app.command("add")(registry.add_client)
app.command("list")(registry.list_clients)


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
    mechanism: MechanismName = "none",
    epsilon: Epsilon = None,
    delta: Delta = None,
    clip: Clip = None,
    form: Form = None,
    dtype: Dtype = None,
    max_skip: MaxSkip = None,
    answers: Answers = True,
    timeout: Timeout = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send labelled images to be learned from, and wait until the server has stored them.

    Messages wait in the outbox, on the disk, until the server has answered: those of a killed
    `publish` are sent by the next one, or by `ioa outbox drain`. Publishing the same images again
    sends them again.

    Example: ioa client publish --data images/ --client-id radiology-1 --encoder encoder/
    """
    from client_autoencoder.connection import outbox_path

    options = {
        "client_id": client_id,
        "encoder": encoder,
        "form": form,
        "dtype": dtype,
        "max_skip": max_skip,
        "timeout_seconds": timeout,
        "outbox": outbox,
    }
    settings = load(config, bootstrap, prefix, client=options)
    chosen = make_mechanism(mechanism, epsilon, delta, clip)
    with (
        open_client(settings, chosen) as client,
        show_sent("stored" if answers else "delivered", as_json) as on_progress,
    ):
        report = client.publish_source(
            data,
            split=split,
            label=label,
            limit=limit,
            augment=augment,
            seed=seed,
            answers=answers,
            on_progress=on_progress,
        )
    print_learning(report, outbox_path(settings.client), as_json)
    _exit(report.complete, len(report.skipped), report.images, settings.client.max_skip)


@app.command()
def ask(
    data: Data,
    client_id: ClientId = None,
    encoder: EncoderDirectory = None,
    split: Split = None,
    limit: Limit = None,
    exit_above: Exit = None,
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

    A question that nobody answers within --timeout expires. Until then it is on the disk: the
    questions of a killed `ask` are followed up by the next one, or by `ioa outbox drain`.

    With --exit the encoder's own exit answers what it is sure of, and only the rest is asked.

    Example: ioa client ask --data new.png --client-id radiology-1 --encoder encoder/
    """
    options = {
        "client_id": client_id,
        "encoder": encoder,
        "form": form,
        "dtype": dtype,
        "max_skip": max_skip,
        "timeout_seconds": timeout,
        "outbox": outbox,
    }
    settings = load(config, bootstrap, prefix, client=options)
    with open_client(settings) as client, show_sent("answered", as_json) as on_progress:
        report = client.ask_source(
            data,
            split=split,
            limit=limit,
            exit_above=read_threshold(exit_above),
            in_flight=in_flight,
            on_progress=on_progress,
        )
    print_service(report, as_json)
    asked = report.sent + report.at_home
    _exit(report.complete, len(report.skipped), asked, settings.client.max_skip)


@app.command()
def status(
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print how many messages were encoded, delivered, acknowledged or refused, and why.

    Counted since the outbox was made; works while another process publishes. With --json also the
    newest 10,000 answers.

    Example: ioa client status --client-id radiology-1
    """
    from client_autoencoder.outbox.reading import read_status

    settings = load(config, client={"client_id": client_id, "outbox": outbox})
    seen = read_status(*find_outboxes(settings).values())
    print_status(settings.client.client_id, settings.client.outbox, seen, as_json)


def _exit(complete: bool, skipped: int, read: int, max_skip: float) -> None:
    from client_autoencoder.images.batches import too_many_skipped

    if not complete:
        raise typer.Exit(1)
    if too_many_skipped(skipped, read + skipped, max_skip):
        raise typer.Exit(TOO_MANY_SKIPPED)
