"""``ioa dead-letter``: messages that could not be used, why, and sending them again."""

from typing import Annotated

import typer

from ioa.cli.options import Bootstrap, Config, Json, Prefix, Yes, load
from ioa.cli.printing import print_json
from stream.errors import StreamError

app = typer.Typer(
    help="Messages that could not be used, why, and sending them again.", no_args_is_help=True
)

Field = Annotated[str | None, typer.Option("--field", help="Only those with this field at fault.")]
Client = Annotated[str | None, typer.Option("--client-id", help="Only those of this client.")]


@app.command("list")
def list_dead_letters(
    field: Field = None,
    client: Client = None,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1)] = 100,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """List dead letters, the newest last, with where they lie, where they came from, and why.

    A reason may quote what was sent. Example: ioa dead-letter list --field label
    """
    from ioa.cli.kafka.dead_letter_reports import describe_entry, to_json
    from stream.dead_letters.reader import DeadLetterReader

    scan = DeadLetterReader(load(config, bootstrap, prefix).kafka).scan()
    entries = sorted(scan.select(field=field, client=client), key=lambda entry: entry.written_at)
    shown = entries[-limit:]
    if as_json:
        letters = [to_json(entry, scan.sent_again) for entry in shown]
        damaged = {str(position): reason for position, reason in scan.damaged.items()}
        print_json({"count": len(entries), "letters": letters, "damaged": damaged})
        return
    for entry in shown:
        typer.echo(describe_entry(entry, scan.sent_again))
    for position, reason in scan.damaged.items():
        typer.echo(f"{position}  is no dead letter: {reason}")
    if len(entries) > len(shown):
        typer.echo(f"and {len(entries) - len(shown)} older ones; --limit shows more", err=True)


@app.command()
def show(
    position: Annotated[str, typer.Argument(help="As `list` shows it, such as 0:41.")],
    body: Annotated[bool, typer.Option("--body", help="Print the body too.")] = False,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Print all that is known of one dead letter; its body, perhaps a patient's, on request.

    Example: ioa dead-letter show 0:41 --body
    """
    from ioa.cli.kafka.dead_letter_reports import print_entry, to_json
    from stream.dead_letters.reader import DeadLetterReader, Position

    wanted = Position.parse(position)
    reader = DeadLetterReader(load(config, bootstrap, prefix).kafka)
    scan = reader.scan()
    if wanted not in scan.positions:
        raise StreamError(f"{wanted} {reader.explain_absence(wanted, scan)}")
    (entry,) = reader.read([wanted])
    if as_json:
        print_json(to_json(entry, scan.sent_again, headers=True, body=body))
    else:
        print_entry(entry, scan.sent_again, body=body)


@app.command()
def retry(
    positions: Annotated[
        list[str] | None, typer.Argument(help="As `list` shows them, such as 0:41.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were never sent again.")] = False,
    field: Field = None,
    client: Client = None,
    force: Annotated[
        bool, typer.Option("--force", help="Send again what was sent again already.")
    ] = False,
    yes: Yes = False,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send dead letters again, unchanged, to where they came from: after the cause was mended.

    Each once, also where this is killed or two operators do it. What fails again becomes a new
    dead letter. A message that carries no id keeps the one of its first position, so a replay of
    the topic stores it once. A client that was refused was told, and may have published the image
    again with a new id: retry only what its sender has not published again. Exit code 1 where
    anything was not sent.

    Example: ioa dead-letter retry --all --field label
    """
    import time

    from stream.dead_letters.reader import Position
    from stream.dead_letters.retry import DeadLetterRetry

    if every == bool(positions):
        raise typer.BadParameter("name positions, or --all")
    if not every and (field or client):
        raise typer.BadParameter("--field and --client-id belong to --all")
    wanted = [Position.parse(text) for text in positions or ()]
    retrying = DeadLetterRetry(load(config, bootstrap, prefix).kafka, time.time)
    if every:
        wanted = [entry.position for entry in retrying.find_unsent(field=field, client=client)]
        if wanted and not yes:
            typer.confirm(f"Send {len(wanted)} dead letters again?", abort=True, err=True)
    report = retrying.send(wanted, force=force)
    if as_json:
        refused = {str(position): reason for position, reason in report.refused.items()}
        print_json({"sent": [*map(str, report.sent)], "refused": refused})
    else:
        for position, reason in report.refused.items():
            typer.echo(f"{position} {reason}", err=True)
        typer.echo(f"{len(report.sent)} dead letters sent again")
    if report.refused:
        raise typer.Exit(1)
