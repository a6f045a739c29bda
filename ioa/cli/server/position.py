"""``ioa database position``: how far Kafka has been read into the database, and setting it."""

import os
import socket
from datetime import UTC, datetime
from typing import Annotated

import typer

from ioa.cli.options import Bootstrap, Config, Database, Json, Prefix, load
from ioa.cli.printing import print_rows
from ioa.cli.server_database import open_server_database, read_server_database
from stream.errors import StreamError

app = typer.Typer(
    help="How far each partition has been read into the database.", no_args_is_help=True
)


@app.command("list")
def list_positions(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """List positions, and which process moved them. Example: ioa database position list"""
    from server_classifier.store.positions import list_positions

    with read_server_database(config, database) as connection:
        rows = [
            {
                "topic": row.topic,
                "partition": row.partition,
                "next_offset": row.next_offset,
                "owner": row.owner,
                "epoch": row.epoch,
                "moved_at": row.moved_at.isoformat(timespec="seconds"),
            }
            for row in list_positions(connection)
        ]
    print_rows(rows, as_json, empty="nothing has been read yet; `ioa server ingest` begins")


@app.command("reset")
def reset_positions(
    topic: Annotated[str, typer.Option(help="Its full name, such as ioa.learning.")],
    to: Annotated[str, typer.Option(help="earliest, latest, or an offset.")],
    partition: Annotated[int | None, typer.Option(help="Only this one. Default: all.")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
) -> None:
    """Let ingestion go on somewhere else: after a topic was cut, or deleted and made again.

    What is stored stays stored, and what is read again is not stored twice. A process that is
    reading follows within seconds. A topic that was deleted is made again, empty, with at least
    as many partitions as were read.

    Example: ioa database position reset --topic ioa.learning --to earliest
    """
    from server_classifier.operations.topics import make_again
    from server_classifier.store.database import writing
    from server_classifier.store.positions import drop_positions, reset_position
    from stream.kafka.connection import connect_admin
    from stream.kafka.offsets import read_ranges

    fixed = None if to in ("earliest", "latest") else _parse_offset(to)
    kafka = load(config, bootstrap, prefix).kafka
    owner = f"ioa database position reset ({socket.gethostname()}, process {os.getpid()})"
    with open_server_database(config, database) as engine:
        make_again(engine, kafka, topic)
        ranges = read_ranges(connect_admin(kafka), topic)
        chosen = [kept for kept in ranges if partition in (None, kept.partition)]
        if not chosen:
            raise StreamError(f"{topic} has no partition {partition}, only 0 to {len(ranges) - 1}")
        with writing(engine) as connection:
            if partition is None:
                drop_positions(connection, topic, len(ranges))
            for kept in chosen:
                offset = (kept.low if to == "earliest" else kept.high) if fixed is None else fixed
                reset_position(connection, kept, offset, owner=owner, now=datetime.now(UTC))
    partitions = ", ".join(str(kept.partition) for kept in chosen)
    typer.echo(f"{topic} is read from {to} on in partition {partitions}")


def _parse_offset(text: str) -> int:
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is neither earliest, latest, nor an offset such as 500")
    return int(text)
