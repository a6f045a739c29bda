"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option(help="Settings file (TOML).", envvar="IOA_CONFIG", dir_okay=False),
]
Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        "-b",
        help="Kafka, as HOST:PORT[,...]. Default 127.0.0.1:9092 "
        "\\[env: IOA_KAFKA__BOOTSTRAP_SERVERS]",
        show_default=False,
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        help="First part of all topic names. Default ioa \\[env: IOA_KAFKA__PREFIX]",
        show_default=False,
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="Where the server keeps its rows. Default sqlite:///ioa.db "
        "\\[env: IOA_SERVER__DATABASE_URL]",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
