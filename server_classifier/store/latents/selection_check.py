"""Selections that name unknown sites, clients, labels or encoders, or select no latent."""

from difflib import get_close_matches

from sqlalchemy import Connection, func, select

from server_classifier.store.errors import DatasetError, RegistryError
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.copy import RegistryCopy
from server_classifier.store.tables import latent

_MOST_NAMED = 12


def refuse_unknown(connection: Connection, selection: Selection) -> None:
    """Raise DatasetError where a named site, client, label or encoder has no latent at all.

    Also where the others have some: nobody would notice that one misspelt site of five is missing.
    """
    for kind, column, selected in (
        ("site", latent.c.site, selection.sites),
        ("client", latent.c.client_id, selection.clients),
        ("label", latent.c.label, selection.labels),
        ("encoder", latent.c.encoder_id, selection.encoders),
    ):
        if selected:
            known = sorted(connection.scalars(select(column).distinct()))
            for value in selected:
                _refuse(kind, value, known)


def refuse_unregistered(registry: RegistryCopy, selection: Selection) -> None:
    """Raise RegistryError where a site, client or encoder of a selection is not in a registry."""
    for kind, selected, known in (
        ("site", selection.sites, {client.site for client in registry.clients}),
        ("client", selection.clients, {client.client_id for client in registry.clients}),
    ):
        if unknown := set(selected) - known:
            raise RegistryError(
                f"no {kind} {min(unknown)} is registered, but {', '.join(sorted(known)) or 'none'}"
            )
    ids = [encoder.network_id for encoder in registry.encoders]
    for digits in selection.encoders:
        if not any(encoder_id.startswith(digits) for encoder_id in ids):
            named = ", ".join(ids) or "none"
            raise RegistryError(f"no encoder {digits} is registered, but {named}")


def explain_nothing(connection: Connection, selection: Selection) -> str:
    """Return the reason why no latent fits a selection whose names all occur."""
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


def _refuse(kind: str, value: str, known: list[str]) -> None:
    if value in known or (kind == "encoder" and any(name.startswith(value) for name in known)):
        return
    near = get_close_matches(value, known, 1)
    advice = f"did you mean {near[0]}? " if near else ""
    named = ", ".join(known[:_MOST_NAMED]) or "none"
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise DatasetError(f"no latent is of {kind} {value}: {advice}there are {named}{more}")
