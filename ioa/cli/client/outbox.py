"""``ioa client status`` and ``ioa client outbox``: what a client has sent and what still waits."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ioa.cli.client.options import ClientId, OutboxDirectory, Timeout
from ioa.cli.client.setup import find_outboxes, load, open_outbox, open_relay, progress
from ioa.cli.options import Bootstrap, Config, Json, Prefix

app = typer.Typer(
    help="Messages on this machine's disk that the server has not answered yet.",
    no_args_is_help=True,
)

Target = Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")]
MessageIds = Annotated[
    list[str] | None, typer.Argument(help="Which, as `list` shows them; all without any.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]


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
    from ioa.cli.client.outbox_reports import print_status

    settings = load(config, None, None, client_id=client_id, outbox=outbox)
    seen = read_status(*find_outboxes(settings).values())
    print_status(settings.client.client_id, settings.client.outbox, seen, as_json)


@app.command(name="list")
def list_waiting(
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List the messages that wait, oldest first.

    Example: ioa client outbox list --client-id radiology-1
    """
    from client_autoencoder.outbox.reading import list_waiting
    from ioa.cli.client.outbox_reports import describe_letter

    settings = load(config, None, None, client_id=client_id, outbox=outbox)
    letters = list_waiting(*find_outboxes(settings).values())
    if as_json:
        typer.echo(json.dumps({"messages": list(letters)}))
        return
    for letter in letters:
        typer.echo(describe_letter(letter))


@app.command()
def drain(
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    timeout: Timeout = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send the messages that wait and wait for their answers; encode nothing new.

    Answers to questions that a killed `ask` left are printed.

    Example: ioa client outbox drain --client-id radiology-1
    """
    from client_autoencoder.exchanges.draining import DrainReport, drain
    from ioa.cli.client.outbox_reports import print_drained

    settings = load(
        config, bootstrap, prefix, client_id=client_id, outbox=outbox, timeout_seconds=timeout
    )
    report = DrainReport()
    for mode in find_outboxes(settings):
        with open_relay(settings, mode) as relay, progress("answered", as_json) as on_progress:
            drain(
                relay,
                timeout=settings.client.timeout_seconds,
                on_progress=on_progress,
                report=report,
            )
    print_drained(settings.client.outbox, report, as_json)
    if report.waiting or report.refused or report.expired:
        raise typer.Exit(1)


@app.command()
def export(
    file: Target,
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write the messages that wait into a file, one JSON object a line, with the exact bytes.

    Keys, values of headers and bodies are in base64. The outbox stays as it is.

    Example: ioa client outbox export waiting.jsonl --client-id radiology-1
    """
    from client_autoencoder.outbox.reading import export_waiting

    settings = load(config, None, None, client_id=client_id, outbox=outbox)
    count = export_waiting(file, *find_outboxes(settings).values())
    if as_json:
        typer.echo(json.dumps({"messages": count, "file": str(file)}))
    else:
        typer.echo(f"{count} messages written to {file}")


@app.command()
def discard(
    message_ids: MessageIds = None,
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    yes: Yes = False,
    config: Config = None,
    prefix: Prefix = None,
) -> None:
    """Drop messages that wait; the server will not get them. `export` keeps a copy.

    Example: ioa client outbox discard --client-id radiology-1
    """
    settings = load(config, None, prefix, client_id=client_id, outbox=outbox)
    with ExitStack() as stack:
        opened = [
            stack.enter_context(open_outbox(settings, mode)) for mode in find_outboxes(settings)
        ]
        count = len(message_ids or ()) or sum(one.counts.waiting for one in opened)
        if not yes:
            typer.confirm(f"Drop {count} messages from {settings.client.outbox}?", abort=True)
        dropped = sum(len(one.discard(message_ids or ())) for one in opened)
        typer.echo(f"{dropped} messages dropped")
