"""The sites, clients and encoders that an operator registered: who may send, with which encoder."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from schemas.errors import SchemaError
from schemas.messages.validation import check_name
from schemas.models.network_manifest import NetworkManifest
from server_classifier.store.errors import RegistryError
from server_classifier.store.tables import client, encoder, site


class ClientRow(NamedTuple):
    """A client and its site.

    ``default_encoder`` is the encoder id of messages that name none, as the paper's do; with None
    such messages are refused.
    """

    client_id: str
    site: str
    default_encoder: str | None
    registered_at: datetime


class EncoderRow(NamedTuple):
    """An encoder whose latents are accepted."""

    encoder_id: str
    manifest: NetworkManifest
    latent_dim: int
    added_at: datetime


def add_encoder(connection: Connection, manifest: NetworkManifest, *, now: datetime) -> EncoderRow:
    """Accept latents of an encoder from now on; a registered encoder stays as it is."""
    known = get_encoder(connection, manifest.network_id)
    if known is not None:
        return known
    row = EncoderRow(manifest.network_id, manifest, manifest.latent_dim, now)
    connection.execute(
        insert(encoder).values(row._asdict() | {"manifest": manifest.to_json()}),
    )
    return row


def get_encoder(connection: Connection, encoder_id: str) -> EncoderRow | None:
    """Return an encoder, or None when it is not registered."""
    row = connection.execute(select(encoder).where(encoder.c.encoder_id == encoder_id)).first()
    return None if row is None else _encoder_row(row)


def list_encoders(connection: Connection) -> list[EncoderRow]:
    """Return all encoders, the oldest first."""
    rows = connection.execute(select(encoder).order_by(encoder.c.added_at, encoder.c.encoder_id))
    return [_encoder_row(row) for row in rows]


def _encoder_row(row: Row[Any]) -> EncoderRow:
    manifest = NetworkManifest.from_json(row.manifest)
    return EncoderRow(row.encoder_id, manifest, row.latent_dim, row.added_at)


def add_client(
    connection: Connection,
    *,
    client_id: str,
    site: str,
    default_encoder: str | None,
    now: datetime,
) -> ClientRow:
    """Register a client, and its site if the site is new.

    Adding a client again changes only its default encoder, and only if one is given.

    Raises:
        RegistryError: the client belongs to another site, the default encoder is not registered,
            or a name has a character that is not allowed.
    """
    _check_names(client_id, site)
    if default_encoder is not None and get_encoder(connection, default_encoder) is None:
        raise RegistryError(
            f"client {client_id}: its default encoder {default_encoder} is not registered; "
            "add the encoder first"
        )
    known = get_client(connection, client_id)
    if known is None:
        row = ClientRow(client_id, site, default_encoder, now)
        _insert_client(connection, row)
        return row
    if known.site != site:
        raise RegistryError(
            f"client {client_id} belongs to site {known.site} and cannot also belong to {site}; "
            "register another client id for this site"
        )
    return _change_default(connection, known, default_encoder)


def _check_names(client_id: str, site_name: str) -> None:
    for kind, name in (("client", client_id), ("site", site_name)):
        try:
            check_name("clientID", name)
        except SchemaError as error:
            raise RegistryError(f"the {kind} name {error.reason}") from error


def _insert_client(connection: Connection, row: ClientRow) -> None:
    if connection.scalar(select(site.c.site).where(site.c.site == row.site)) is None:
        connection.execute(insert(site).values(site=row.site, added_at=row.registered_at))
    connection.execute(insert(client).values(row._asdict()))


def _change_default(
    connection: Connection, known: ClientRow, default_encoder: str | None
) -> ClientRow:
    if default_encoder in (None, known.default_encoder):
        return known
    connection.execute(
        update(client)
        .where(client.c.client_id == known.client_id)
        .values(default_encoder=default_encoder)
    )
    return known._replace(default_encoder=default_encoder)


def get_client(connection: Connection, client_id: str) -> ClientRow | None:
    """Return a client, or None when it is not registered."""
    row = connection.execute(select(client).where(client.c.client_id == client_id)).first()
    return None if row is None else ClientRow._make(row)


def list_clients(connection: Connection) -> list[ClientRow]:
    """Return all clients by site and name."""
    rows = connection.execute(select(client).order_by(client.c.site, client.c.client_id))
    return [ClientRow._make(row) for row in rows]
