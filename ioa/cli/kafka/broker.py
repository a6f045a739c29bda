"""``ioa broker``: a real Apache Kafka on this machine, from pip alone."""

import os
import shlex
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioa.cli.options import Json
from ioa.cli.printing import print_json
from ioa.cli.program import program_name

if TYPE_CHECKING:
    from stream.broker.daemon import BrokerStatus

NOT_RUNNING = 3
"""The exit code that init scripts use for it (Linux Standard Base)."""


def default_directory() -> Path:
    """Return where the broker keeps its data: in `XDG_DATA_HOME`, or ``~/.local/share``."""
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        data = Path.home() / ".local" / "share"
    return data / "ioa" / "broker"


Directory = Annotated[
    Path,
    typer.Option(
        help="Where the broker keeps its data, log and process id.",
        default_factory=default_directory,
        show_default="~/.local/share/ioa/broker",
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Port on 127.0.0.1. Default: that of the last start, or a free one."
    ),
]
Foreground = Annotated[
    bool, typer.Option("--foreground", help="Stay, and stop the broker when this ends.")
]

app = typer.Typer(
    help="Apache Kafka on this machine, for trying out and testing.", no_args_is_help=True
)


@app.command()
def start(directory: Directory, port: Port = None, foreground: Foreground = False) -> None:
    """Start the broker and return when it answers. Example: ioa broker start --port 9092"""
    from stream.broker.daemon import read_status, start_daemon

    running = read_status(directory)
    if running.pid is not None:
        _report_running(running, port)
    elif foreground:
        _run_in_foreground(directory, port)
    else:
        began = time.monotonic()
        status = start_daemon(directory, port=port, announce=_announce)
        _report_started(status, time.monotonic() - began)


@app.command()
def stop(directory: Directory) -> None:
    """Stop the broker; its data stays. Example: ioa broker stop"""
    from stream.broker.daemon import stop_daemon

    stopped = stop_daemon(directory)
    typer.echo("The broker is stopped." if stopped else f"No broker runs in {directory}.")


@app.command()
def status(directory: Directory, as_json: Json = False) -> None:
    """Say whether the broker runs, and where; exit code 3 if not. Example: ioa broker status"""
    from stream.broker.daemon import read_status

    status = read_status(directory)
    if as_json:
        print_json(asdict(status) | {"directory": str(status.directory)})
    else:
        typer.echo(_describe(status))
    if status.pid is None:
        raise typer.Exit(NOT_RUNNING)


def _announce(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _describe(status: "BrokerStatus") -> str:
    if status.pid is None:
        return f"No broker runs in {status.directory}."
    state = "answers at" if status.ready else "runs but does not answer at"
    return f"Process {status.pid} {state} {status.bootstrap_servers} (data: {status.directory})."


def _report_running(status: "BrokerStatus", port: int | None) -> None:
    typer.echo(f"Already running. {_describe(status)}")
    if port is not None and status.bootstrap_servers != f"127.0.0.1:{port}":
        typer.echo(f"It stays where it is; for port {port} stop it first.", err=True)
        raise typer.Exit(1)


def _report_started(status: "BrokerStatus", seconds: float) -> None:
    option = _directory_option(status.directory)
    typer.echo(
        f"Apache Kafka answers at {status.bootstrap_servers} "
        f"(process {status.pid}, {seconds:.1f} s)\n"
        f"  data  {status.directory}\n"
        f"  next  {program_name()} topic create --bootstrap-servers {status.bootstrap_servers}\n"
        f"  stop  {program_name()} broker stop{option}"
    )


def _directory_option(directory: Path) -> str:
    is_default = directory == default_directory()
    return "" if is_default else f" --directory {shlex.quote(str(directory))}"


def _run_in_foreground(directory: Path, port: int | None) -> None:
    from stream.broker.embedded import EmbeddedBroker

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with EmbeddedBroker(directory, port=port, announce=_announce) as broker:
        typer.echo(f"Apache Kafka answers at {broker.bootstrap_servers} (Ctrl-C stops it)")
        broker.wait()
