"""``ioa server``: run the server's services, register encoders and clients."""

import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from ioa.cli.options import Bootstrap, Config, Database, Json, Prefix
from ioa.cli.server import database as database_commands
from ioa.cli.server import offsets
from ioa.cli.tables import print_rows, server_database
from ioa.settings import Settings, load_settings

app = typer.Typer(
    help="Ingest, train, answer; register encoders and clients.", no_args_is_help=True
)
encoders = typer.Typer(help="The encoders whose latents are accepted.", no_args_is_help=True)
clients = typer.Typer(help="The clients that may send.", no_args_is_help=True)
app.add_typer(encoders, name="encoder")
app.add_typer(clients, name="client")
app.add_typer(database_commands.app, name="db")
app.add_typer(offsets.app, name="offsets")

Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        help="A label that may be learned; repeat it to declare the whole label space. "
        "Default: any label \\[env: IOA_SERVER__LABELS]",
        show_default=False,
    ),
]
Instance = Annotated[
    str | None,
    typer.Option(
        help="Name of this process among those of its kind. Default 0 "
        "\\[env: IOA_SERVER__INSTANCE]",
        show_default=False,
    ),
]
Interval = Annotated[
    float | None,
    typer.Option(
        "--train-interval",
        help="Seconds after which new rows lead to a new model "
        "\\[env: IOA_SERVER__TRAIN_INTERVAL_SECONDS]",
        show_default=False,
    ),
]
MinNewRows = Annotated[
    int | None,
    typer.Option(
        "--train-min-new-rows",
        help="New rows that lead to a new model at once \\[env: IOA_SERVER__TRAIN_MIN_NEW_ROWS]",
        show_default=False,
    ),
]
Health = Annotated[
    str | None,
    typer.Option(
        help="Serve /healthz, /readyz and /metrics at \\[HOST:]PORT; without HOST for this machine "
        "only. Default: nowhere \\[env: IOA_SERVER__HEALTH]",
        show_default=False,
    ),
]


@app.command()
def run(
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
    label: Label = None,
    train_interval: Interval = None,
    train_min_new_rows: MinNewRows = None,
    health: Health = None,
) -> None:
    """Start ingest, train and infer as processes and restart any that dies.

    Example: ioa server run -b 127.0.0.1:9092 --database sqlite:///ioa.db
    """
    from ioa.run.supervisor import supervise_server

    settings = _load(
        config,
        bootstrap,
        prefix,
        database_url=database,
        labels=label or None,
        train_interval_seconds=train_interval,
        train_min_new_rows=train_min_new_rows,
        health=health,
    )
    supervise_server(settings, _start_service("server"))


@app.command()
def ingest(
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
    label: Label = None,
    instance: Instance = None,
    health: Health = None,
) -> None:
    """Store learning messages and acknowledge them. Example: ioa server ingest"""
    from ioa.run.garbage_collector import relieve_collector
    from server_classifier.intake.ingest import run_ingest

    settings = _load(
        config,
        bootstrap,
        prefix,
        database_url=database,
        labels=label or None,
        instance=instance,
        health=health,
    )
    relieve_collector()
    run_ingest(settings.kafka, settings.server, _start_service("ingest"))


@app.command()
def infer(
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
    instance: Instance = None,
    health: Health = None,
) -> None:
    """Answer service messages; alone it is the paper's offline mode. Example: ioa server infer"""
    from server_classifier.answering.inference import run_infer

    settings = _load(
        config, bootstrap, prefix, database_url=database, instance=instance, health=health
    )
    run_infer(settings.kafka, settings.server, _start_service("infer"))


@app.command()
def train(
    config: Config = None,
    database: Database = None,
    train_interval: Interval = None,
    train_min_new_rows: MinNewRows = None,
    health: Health = None,
) -> None:
    """Retrain the classifier on what the database holds. Example: ioa server train"""
    import os
    import time

    os.nice(10)  # before torch is imported: training never takes the processor from answering
    from server_classifier.operations.monitor import open_monitor
    from server_classifier.operations.service import await_database
    from server_classifier.versions.trainer import Trainer

    settings = _load(
        config,
        None,
        None,
        database_url=database,
        train_interval_seconds=train_interval,
        train_min_new_rows=train_min_new_rows,
        health=health,
    ).server
    stop, now = _start_service("train"), partial(datetime.now, UTC)
    with open_monitor(settings.health) as monitor:
        if (engine := await_database(settings, stop, monitor.health)) is not None:
            clock = time.monotonic
            Trainer(engine, settings, clock=clock, now=now, stop=stop, monitor=monitor).run()


@encoders.command("add")
def add_encoder(
    directory: Annotated[Path, typer.Argument(help="Written by `ioa encoder train`.")],
    config: Config = None,
    database: Database = None,
) -> None:
    """Accept latents of an encoder. Example: ioa server encoder add encoder/"""
    from server_classifier.store.database import writing
    from server_classifier.store.registry.entries import add_encoder
    from stream.artefacts.encoder_files import read_encoder

    manifest = read_encoder(directory).manifest
    with server_database(config, database) as engine, writing(engine) as connection:
        add_encoder(connection, manifest, now=datetime.now(UTC))
    typer.echo(f"registered encoder {manifest.encoder_id} ({manifest.latent_dim} numbers)")


@encoders.command("list")
def list_encoders(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """List the registered encoders. Example: ioa server encoder list --json"""
    from server_classifier.store.database import reading
    from server_classifier.store.registry.entries import list_encoders

    with server_database(config, database) as engine, reading(engine) as connection:
        rows = [
            {
                "encoder_id": row.encoder_id,
                "latent_dim": row.latent_dim,
                "images": f"{row.manifest.height}x{row.manifest.width}",
                "trained_on": row.manifest.training_data.name,
                "origin": row.manifest.training_data.origin,
                "added_at": row.added_at.isoformat(timespec="seconds"),
            }
            for row in list_encoders(connection)
        ]
    print_rows(rows, as_json, empty="no encoder is registered; see `ioa server encoder add --help`")


@clients.command("add")
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

    Example: ioa server client add radiology-1 --site st-mary
    """
    from schemas.messages.validation import check_name
    from server_classifier.store.database import writing
    from server_classifier.store.registry.entries import add_client
    from stream.kafka.topics import Topics, create_topics

    check_name("clientID", client_id)
    kafka = load_settings(config, kafka={"bootstrap_servers": bootstrap, "prefix": prefix}).kafka
    topics = Topics(kafka.prefix)
    with server_database(config, database) as engine:
        # First, so that no client is ever registered without the topic on which it is answered.
        create_topics(kafka, [*topics.shared(), topics.replies(client_id)])
        with writing(engine) as connection:
            add_client(
                connection,
                client_id=client_id,
                site=site,
                default_encoder=default_encoder,
                now=datetime.now(UTC),
            )
    typer.echo(
        f"registered {client_id} of {site}; it is answered on {topics.replies(client_id).name}"
    )


@clients.command("list")
def list_clients(config: Config = None, database: Database = None, as_json: Json = False) -> None:
    """List the registered clients and what is stored of each. Example: ioa server client list"""
    from server_classifier.store.database import reading
    from server_classifier.store.latents.rows import count_latents_by_client
    from server_classifier.store.registry.entries import list_clients

    with server_database(config, database) as engine, reading(engine) as connection:
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
    print_rows(rows, as_json, empty="no client is registered; see `ioa server client add --help`")


def _start_service(name: str) -> Event:
    """Configure logging and return the event that SIGINT and SIGTERM set."""
    # structlog takes a tenth of a second to import, which no other command needs.
    from ioa.run.logs import configure_logs

    configure_logs(name)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _load(
    config: Path | None, bootstrap: str | None, prefix: str | None, **server: Any
) -> Settings:
    return load_settings(
        config, kafka={"bootstrap_servers": bootstrap, "prefix": prefix}, server=server
    )
