"""``ioa server``: run the server's services."""

import signal
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import Annotated

import typer

from ioa.cli.options import Bootstrap, Config, Database, Prefix, load
from ioa.cli.panels import LEARNING, PROCESS
from ioa.cli.server.skip import skip

app = typer.Typer(help="Ingest, train, answer.", no_args_is_help=True)
app.command()(skip)

Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        help="A label that may be learned; repeat it to declare the whole label space. "
        "Default: any label \\[env: IOA_SERVER__LABELS]",
        rich_help_panel=LEARNING,
    ),
]
Instance = Annotated[
    str | None,
    typer.Option(
        help="Name of this process among those of its kind, of which it takes the place when it "
        "starts again. Default: the host's name \\[env: IOA_SERVER__INSTANCE]",
        rich_help_panel=PROCESS,
    ),
]
Interval = Annotated[
    float | None,
    typer.Option(
        "--train-interval",
        help="Seconds after which new rows lead to a new model "
        "\\[env: IOA_SERVER__TRAIN_INTERVAL_SECONDS]",
        rich_help_panel=LEARNING,
    ),
]
MinNewRows = Annotated[
    int | None,
    typer.Option(
        "--train-min-new-rows",
        help="New rows that lead to a new model at once \\[env: IOA_SERVER__TRAIN_MIN_NEW_ROWS]",
        rich_help_panel=LEARNING,
    ),
]
Health = Annotated[
    str | None,
    typer.Option(
        help="Serve /healthz, /readyz and /metrics at \\[HOST:]PORT; without HOST for this machine "
        "only. Default: nowhere \\[env: IOA_SERVER__HEALTH]",
        rich_help_panel=PROCESS,
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

    server = {
        "database_url": database,
        "labels": label or None,
        "train_interval_seconds": train_interval,
        "train_min_new_rows": train_min_new_rows,
        "health": health,
    }
    settings = load(config, bootstrap, prefix, server=server)
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

    server = {
        "database_url": database,
        "labels": label or None,
        "instance": instance,
        "health": health,
    }
    settings = load(config, bootstrap, prefix, server=server)
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

    server = {"database_url": database, "instance": instance, "health": health}
    settings = load(config, bootstrap, prefix, server=server)
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

    server = {
        "database_url": database,
        "train_interval_seconds": train_interval,
        "train_min_new_rows": train_min_new_rows,
        "health": health,
    }
    settings = load(config, server=server).server
    stop, now = _start_service("train"), partial(datetime.now, UTC)
    with open_monitor(settings.health) as monitor:
        if (engine := await_database(settings, stop, monitor.health)) is not None:
            clock = time.monotonic
            Trainer(engine, settings, clock=clock, now=now, stop=stop, monitor=monitor).run()


def _start_service(name: str) -> Event:
    """Configure logging and return the event that SIGINT and SIGTERM set."""
    # structlog takes a tenth of a second to import, which no other command needs.
    from ioa.run.logs import configure_logs

    configure_logs(name)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
