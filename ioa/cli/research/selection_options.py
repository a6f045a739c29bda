"""The options that say which latents are meant, and the selection that they make."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ioa.cli.panels import SELECTION

if TYPE_CHECKING:
    from server_classifier.store.latents.selection import Selection

Site = Annotated[
    list[str] | None,
    typer.Option(
        "--site", help="Only latents of this site; repeatable.", rich_help_panel=SELECTION
    ),
]
Client = Annotated[
    list[str] | None,
    typer.Option(
        "--client", help="Only latents of this client; repeatable.", rich_help_panel=SELECTION
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label", help="Only latents with this label; repeatable.", rich_help_panel=SELECTION
    ),
]


def parse_time(text: str) -> datetime:
    """Read a time of ISO 8601, in UTC where it names no zone.

    Raises:
        typer.BadParameter: it is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-11-21 or 2026-11-21T09:30:00Z"
        ) from error
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def parse_digits(text: str) -> str:
    """Read the first digits of an encoder's id.

    Raises:
        typer.BadParameter: they are no such digits.
    """
    if not re.fullmatch("[0-9a-f]{1,64}", text):
        raise typer.BadParameter(
            f"{text!r} is no encoder: give the first of its 64 digits of 0-9 and a-f, as "
            "`ioa encoder list` shows them"
        )
    return text


Encoder = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        help="Only latents of this encoder, by the first digits of its id; repeatable.",
        parser=parse_digits,
        metavar="DIGITS",
        rich_help_panel=SELECTION,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        help="Only latents that Kafka took at this time or later, such as 2026-11-21T09:30:00Z.",
        parser=parse_time,
        metavar="TIME",
        rich_help_panel=SELECTION,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        help="Only latents that Kafka took before this time.",
        parser=parse_time,
        metavar="TIME",
        rich_help_panel=SELECTION,
    ),
]


def make_selection(
    sites: list[str] | None,
    clients: list[str] | None,
    labels: list[str] | None,
    encoders: list[str] | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> "Selection":
    """Return the selection; an option that was not given restricts nothing."""
    from server_classifier.store.latents.selection import Selection

    return Selection(
        _sort(sites), _sort(clients), _sort(labels), _sort(encoders), since=since, until=until
    )


def _sort(values: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(set(values or ())))
