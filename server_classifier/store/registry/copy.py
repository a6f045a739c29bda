"""What an operator has registered, carried from one database to another, or kept in a file."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection

from schemas.errors import SchemaError
from schemas.models.encoder_manifest import EncoderManifest
from server_classifier.store.database import (
    current_revision,
    describe,
    open_read_only,
    reading,
    refuse_missing,
)
from server_classifier.store.errors import RegistryError, StoreError
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.entries import (
    add_client,
    add_encoder,
    list_clients,
    list_encoders,
)
from server_classifier.store.tables import EPOCH


class ClientEntry(NamedTuple):
    """A client without the time of its registration."""

    client_id: str
    site: str
    default_encoder: str | None


class RegistryCopy(NamedTuple):
    """Encoders and clients, without what was learned from them."""

    encoders: Sequence[EncoderManifest]
    clients: Sequence[ClientEntry]

    def to_json(self) -> dict[str, Any]:
        """Return it for a file; ``from_json`` reads it."""
        return {
            "encoders": [one.to_json() for one in self.encoders],
            "clients": [one._asdict() for one in self.clients],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read what ``to_json`` gave.

        Raises:
            RegistryError: it is something else.
        """
        try:
            return cls(
                [EncoderManifest.from_json(one) for one in content["encoders"]],
                [ClientEntry(**one) for one in content["clients"]],
            )
        except (KeyError, TypeError, SchemaError) as error:
            raise RegistryError(f"the list of encoders and clients is damaged: {error}") from error

    def keep(self, older: Self) -> Self:
        """Return this copy with what only an older one has."""
        encoders = {one.encoder_id: one for one in [*older.encoders, *self.encoders]}
        clients = {one.client_id: one for one in [*older.clients, *self.clients]}
        return type(self)([*encoders.values()], [*clients.values()])


def copy_registry(connection: Connection) -> RegistryCopy:
    """Return what is registered now."""
    return RegistryCopy(
        [one.manifest for one in list_encoders(connection)],
        [
            ClientEntry(one.client_id, one.site, one.default_encoder)
            for one in list_clients(connection)
        ],
    )


def read_registry(url: str) -> RegistryCopy:
    """Return what is registered in the database at an address, which is only read.

    Raises:
        StoreError: there is no such database, or it has no tables.
    """
    engine = open_read_only(url)
    refuse_missing(engine)
    try:
        if current_revision(engine) is None:
            raise StoreError(
                f"{describe(engine)} has no tables; name the database that the services use"
            )
        with reading(engine) as connection:
            return copy_registry(connection)
    finally:
        engine.dispose()


def refuse_unknown(registry: RegistryCopy, selection: Selection) -> None:
    """Raise RegistryError where a site, client or encoder of a selection is not in a registry."""
    for kind, wanted, known in (
        ("site", selection.sites, {one.site for one in registry.clients}),
        ("client", selection.clients, {one.client_id for one in registry.clients}),
    ):
        if unknown := set(wanted) - known:
            raise RegistryError(
                f"no {kind} {min(unknown)} is registered, but {', '.join(sorted(known)) or 'none'}"
            )
    ids = [one.encoder_id for one in registry.encoders]
    for digits in selection.encoders:
        if not any(one.startswith(digits) for one in ids):
            raise RegistryError(
                f"no encoder {digits} is registered, but {', '.join(ids) or 'none'}"
            )


def add_registry(connection: Connection, registry: RegistryCopy) -> None:
    """Register what is in a copy, the times left at 1970: the copy has none.

    Raises:
        RegistryError: a client is registered for another site.
    """
    for manifest in registry.encoders:
        add_encoder(connection, manifest, now=EPOCH)
    for one in registry.clients:
        add_client(connection, **one._asdict(), now=EPOCH)
