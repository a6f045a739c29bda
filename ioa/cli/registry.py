"""``add`` and ``list`` of ``ioa client`` and ``ioa encoder``: whom and what the server accepts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ioa.cli.options import Bootstrap, Config, Database, Json, Prefix, load
from ioa.cli.printing import print_rows
from ioa.cli.server_database import open_server_database, read_server_database


def add_encoder(
    directory: Annotated[Path, typer.Argument(help="Written by `ioa encoder train`.")],
    config: Config = None,
    database: Database = None,
) -> None:
    """Accept latents of an encoder. Example: ioa encoder add encoder/"""
    from client_autoencoder.encoders.runtime import Encoder
    from server_classifier.store.database import writing
    from server_classifier.store.registry.entries import add_encoder

    manifest = Encoder.load(directory).manifest  # file and manifest belong together
    with open_server_database(config, database) as engine, writing(engine) as connection:
        add_encoder(connection, manifest, now=datetime.now(UTC))
    typer.echo(f"registered encoder {manifest.network_id} ({manifest.latent_dim} numbers)")


def list_encoders(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """List the registered encoders. Example: ioa encoder list --json"""
    from server_classifier.store.registry.entries import list_encoders

    with read_server_database(config, database) as connection:
        rows = [
            {
                "encoder_id": row.encoder_id,
                "latent_dim": row.latent_dim,
                "images": f"{row.manifest.images.height}x{row.manifest.images.width}",
                "trained_on": row.manifest.training_data.name,
                "origin": row.manifest.training_data.origin,
                "added_at": row.added_at.isoformat(timespec="seconds"),
            }
            for row in list_encoders(connection)
        ]
    print_rows(rows, as_json, empty="no encoder is registered; see `ioa encoder add --help`")


def add_client(
    client_id: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'.")],
    site: Annotated[str, typer.Option(help="The hospital that the client belongs to.")],
    default_encoder: Annotated[
        str | None,
        typer.Option(help="Encoder id of a client whose messages name none, as the paper's do."),
    ] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
) -> None:
    """Register a client and create its reply topic.

    Example: ioa client add radiology-1 --site st-mary
    """
    from server_classifier.operations.registration import register_client
    from stream.exchange.topics import Topics

    kafka = load(config, bootstrap, prefix).kafka
    with open_server_database(config, database) as engine:
        register_client(
            engine,
            kafka,
            client_id=client_id,
            site=site,
            default_encoder=default_encoder,
            now=datetime.now(UTC),
        )
    topic = Topics(kafka.prefix).replies(client_id)
    typer.echo(f"registered {client_id} of {site}; it is answered on {topic.name}")


def list_clients(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """List the registered clients and what is stored of each. Example: ioa client list"""
    from server_classifier.store.latents.rows import count_latents_by_client
    from server_classifier.store.registry.entries import list_clients

    with read_server_database(config, database) as connection:
        stored = count_latents_by_client(connection)
        rows = [
            {
                "client_id": row.client_id,
                "site": row.site,
                "default_encoder": row.default_encoder or "",
                "stored": stored.get(row.client_id, 0),
                "registered_at": row.registered_at.isoformat(timespec="seconds"),
            }
            for row in list_clients(connection)
        ]
    print_rows(rows, as_json, empty="no client is registered; see `ioa client add --help`")
