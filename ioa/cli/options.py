"""Options that several commands share, and the settings that they make."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ioa.cli.panels import DATABASE, KAFKA, OUTPUT

if TYPE_CHECKING:
    from ioa.settings import Settings

Config = Annotated[
    Path | None, typer.Option(help="Settings file (TOML).", envvar="IOA_CONFIG", dir_okay=False)
]
Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        "-b",
        help="Kafka, as HOST:PORT[,...]. Default 127.0.0.1:9092 "
        "\\[env: IOA_KAFKA__BOOTSTRAP_SERVERS]",
        rich_help_panel=KAFKA,
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        help="First part of all topic names. Default ioa \\[env: IOA_KAFKA__PREFIX]",
        rich_help_panel=KAFKA,
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="Where the server keeps its rows. Default sqlite:///ioa.db "
        "\\[env: IOA_SERVER__DATABASE_URL]",
        rich_help_panel=DATABASE,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object as the last line.", rich_help_panel=OUTPUT),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
NewFile = Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")]


def load(
    config: Path | None,
    bootstrap: str | None = None,
    prefix: str | None = None,
    **sections: Mapping[str, Any],
) -> "Settings":
    """Read the settings; an option that was given wins. See ``load_settings``."""
    from ioa.settings import load_settings  # pydantic: not for every command

    kafka = {"bootstrap_servers": bootstrap, "prefix": prefix}
    return load_settings(config, kafka=kafka, **sections)
