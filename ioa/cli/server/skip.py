"""``ioa server skip``: go on behind a batch that cannot be read."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from ioa.cli.options import Bootstrap, Config, Database, Prefix, load
from ioa.cli.server_database import open_server_database


def skip(
    topic: Annotated[str, typer.Option(help="Its full name, such as ioa.learning.")],
    partition: Annotated[int, typer.Option(min=0, help="As /readyz and the log name it.")],
    offset: Annotated[int, typer.Option(min=0, help="As /readyz and the log name it.")],
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
) -> None:
    """Skip the one batch that keeps a partition from being read at an offset.

    Such a batch is damaged on the broker's disk, or too large once decompressed. Look for a good
    copy first: its records are lost to everybody who skips it. Services that run go on behind it
    within seconds; `ioa archive write` and `ioa replay run` leave it out and say so. A stub in
    `ioa dead-letter list` says what was skipped. An offset that can be read is never skipped.

    Example: ioa server skip --topic ioa.learning --partition 2 --offset 17
    """
    from server_classifier.operations.skipping import skip_batch

    kafka = load(config, bootstrap, prefix).kafka
    with open_server_database(config, database, existing=True) as engine:
        skipped = skip_batch(engine, kafka, topic, partition, offset, now=datetime.now(UTC))
    typer.echo(
        f"{topic}[{partition}] is read from offset {skipped.high} on; offsets {skipped.low} to "
        f"{skipped.high - 1} are skipped"
    )
