"""``ioa outbox``: the messages of a client that still wait on its disk."""

from contextlib import ExitStack
from typing import Annotated

import typer

from ioa.cli.client.options import ClientId, OutboxDirectory, Timeout
from ioa.cli.client.outbox_reports import describe_message, print_drained
from ioa.cli.client.setup import find_outboxes, open_client, show_sent
from ioa.cli.options import Bootstrap, Config, Json, NewFile, Prefix, Yes, load
from ioa.cli.printing import print_json

app = typer.Typer(
    help="Messages on this machine's disk that the server has not answered yet.",
    no_args_is_help=True,
)

MessageIds = Annotated[
    list[str] | None, typer.Argument(help="Which, as `list` shows them; all without any.")
]


@app.command("list")
def list_waiting(
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List the messages that wait, oldest first.

    Example: ioa outbox list --client-id radiology-1
    """
    from client_autoencoder.outbox.reading import list_waiting

    settings = load(config, client={"client_id": client_id, "outbox": outbox})
    messages = list_waiting(*find_outboxes(settings).values())
    if as_json:
        print_json({"messages": list(messages)})
        return
    for message in messages:
        typer.echo(describe_message(message))


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

    Example: ioa outbox drain --client-id radiology-1
    """
    options = {"client_id": client_id, "outbox": outbox, "timeout_seconds": timeout}
    settings = load(config, bootstrap, prefix, client=options)
    with (
        open_client(settings, encodes=False) as client,
        show_sent("answered", as_json) as on_progress,
    ):
        report = client.drain(on_progress=on_progress)
    print_drained(settings.client.outbox, report, as_json)
    if report.waiting or report.refused or report.expired:
        raise typer.Exit(1)


@app.command()
def export(
    file: NewFile,
    client_id: ClientId = None,
    outbox: OutboxDirectory = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write the messages that wait into a file, one JSON object a line, with the exact bytes.

    Keys, values of headers and bodies are in base64. The outbox stays as it is.

    Example: ioa outbox export waiting.jsonl --client-id radiology-1
    """
    from client_autoencoder.outbox.reading import export_waiting

    settings = load(config, client={"client_id": client_id, "outbox": outbox})
    count = export_waiting(file, *find_outboxes(settings).values())
    if as_json:
        print_json({"messages": count, "file": str(file)})
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

    Example: ioa outbox discard --client-id radiology-1
    """
    import time

    from client_autoencoder.connection import open_outbox

    settings = load(config, prefix=prefix, client={"client_id": client_id, "outbox": outbox})
    with ExitStack() as stack:
        outboxes = [
            stack.enter_context(
                open_outbox(settings.client, settings.kafka, exchange, clock=time.time)
            )
            for exchange in find_outboxes(settings)
        ]
        count = len(message_ids or ()) or sum(opened.counts.waiting for opened in outboxes)
        if not yes:
            typer.confirm(f"Drop {count} messages from {settings.client.outbox}?", abort=True)
        dropped = sum(len(opened.discard(message_ids or ())) for opened in outboxes)
        typer.echo(f"{dropped} messages dropped")
