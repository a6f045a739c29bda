"""What to tell whoever selects latents that are not there."""

from difflib import get_close_matches

from sqlalchemy import Column, Connection, func, select

from server_classifier.store.errors import DatasetError
from server_classifier.store.latents.selection import Selection
from server_classifier.store.tables import latent

_MOST_NAMED = 12


def refuse_unknown(connection: Connection, selection: Selection) -> None:
    """Raise DatasetError where a named site, client, label or encoder has no latent at all.

    Also where others have: one misspelt site of five would be left out, and nobody would know.
    """
    for kind, column, wanted in _list_fields(selection):
        if wanted:
            known = sorted(connection.scalars(select(column).distinct()))
            for value in wanted:
                _refuse(kind, value, known)


def explain_nothing(connection: Connection, selection: Selection) -> str:
    """Say why no latent fits a selection whose names all occur."""
    first, last = connection.execute(
        select(func.min(latent.c.received_at), func.max(latent.c.received_at))
    ).one()
    if first is None:
        return "the database holds no latent yet"
    if selection.since is None and selection.until is None:
        return "what is asked for occurs, but never in one latent: ask for less at once"
    return (
        "no latent fits: the database holds those that Kafka took from "
        f"{first.isoformat(timespec='milliseconds')} to {last.isoformat(timespec='milliseconds')}"
    )


def _list_fields(selection: Selection) -> list[tuple[str, Column[str], tuple[str, ...]]]:
    return [
        ("site", latent.c.site, selection.sites),
        ("client", latent.c.client_id, selection.clients),
        ("label", latent.c.label, selection.labels),
        ("encoder", latent.c.encoder_id, selection.encoders),
    ]


def _refuse(kind: str, value: str, known: list[str]) -> None:
    if value in known or (kind == "encoder" and any(one.startswith(value) for one in known)):
        return
    near = get_close_matches(value, known, 1)
    advice = f"did you mean {near[0]}? " if near else ""
    named = ", ".join(known[:_MOST_NAMED]) or "none"
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise DatasetError(f"no latent is of {kind} {value}: {advice}there are {named}{more}")
