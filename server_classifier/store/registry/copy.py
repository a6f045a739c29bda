"""A copy of the registry, for another database or a file."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection

from schemas.errors import SchemaError
from schemas.models.network_manifest import NetworkManifest
from server_classifier.store.database import (
    current_revision,
    describe,
    open_read_only,
    reading,
    refuse_missing,
)
from server_classifier.store.errors import RegistryError, StoreError
from server_classifier.store.registry.entries import (
    add_client,
    add_encoder,
    list_clients,
    list_encoders,
)
from server_classifier.store.registry.labels import list_labels, take_labels
from server_classifier.store.tables import EPOCH


class ClientEntry(NamedTuple):
    """A client without the time of its registration."""

    client_id: str
    site: str
    default_encoder: str | None


class RegistryCopy(NamedTuple):
    """Encoders, clients and the labels that were taken, without latents and classifiers."""

    encoders: Sequence[NetworkManifest]
    clients: Sequence[ClientEntry]
    labels: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it for a file; ``from_json`` reads it."""
        return {
            "encoders": [encoder.to_json() for encoder in self.encoders],
            "clients": [client._asdict() for client in self.clients],
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read what ``to_json`` gave.

        Raises:
            RegistryError: it is something else.
        """
        try:
            return cls(
                [NetworkManifest.from_json(encoder) for encoder in content["encoders"]],
                [ClientEntry(**client) for client in content["clients"]],
                content.get("labels", []),  # version 0.1.0 kept none
            )
        except (KeyError, TypeError, SchemaError) as error:
            raise RegistryError(f"the list of encoders and clients is damaged: {error}") from error

    def keep(self, older: Self) -> Self:
        """Return this copy together with the entries that only an older copy has."""
        encoders = {entry.network_id: entry for entry in [*older.encoders, *self.encoders]}
        clients = {entry.client_id: entry for entry in [*older.clients, *self.clients]}
        labels = dict.fromkeys([*older.labels, *self.labels])
        return type(self)([*encoders.values()], [*clients.values()], [*labels])


def copy_registry(connection: Connection) -> RegistryCopy:
    """Return what is registered now."""
    return RegistryCopy(
        [encoder.manifest for encoder in list_encoders(connection)],
        [
            ClientEntry(client.client_id, client.site, client.default_encoder)
            for client in list_clients(connection)
        ],
        list_labels(connection),
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


def add_registry(connection: Connection, registry: RegistryCopy) -> None:
    """Register the entries of a copy; their time is 1970, since the copy has none.

    Raises:
        RegistryError: a client is registered for another site.
    """
    for manifest in registry.encoders:
        add_encoder(connection, manifest, now=EPOCH)
    for client in registry.clients:
        add_client(connection, **client._asdict(), now=EPOCH)
    take_labels(connection, registry.labels, maximum=None)
