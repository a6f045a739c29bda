"""The options that say which latents are meant, and the selection that they make."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from server_classifier.store.selection import Selection

Site = Annotated[
    list[str] | None,
    typer.Option("--site", help="Only latents of this site; repeatable.", show_default=False),
]
Client = Annotated[
    list[str] | None,
    typer.Option("--client", help="Only latents of this client; repeatable.", show_default=False),
]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", help="Only latents with this label; repeatable.", show_default=False),
]
Encoder = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        help="Only latents of this encoder, by the first digits of its id; repeatable.",
        show_default=False,
    ),
]


def parse_time(text: str) -> datetime:
    """Read a time of ISO 8601, in UTC where it names no zone.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-11-21 or 2026-11-21T09:30:00Z")
    return moment.replace(tzinfo=moment.tzinfo or UTC)


Since = Annotated[
    datetime | None,
    typer.Option(
        help="Only latents that Kafka took at this time or later, such as 2026-11-21T09:30:00Z.",
        parser=parse_time,
        metavar="TIME",
        show_default=False,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        help="Only latents that Kafka took before this time.",
        parser=parse_time,
        metavar="TIME",
        show_default=False,
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
    """Return the selection; what was not given is not restricted."""
    from server_classifier.store.selection import Selection

    named = [tuple(sorted(set(one or ()))) for one in (sites, clients, labels, encoders)]
    return Selection(*named, since=since, until=until)
