"""The ``ioa`` command: one line per error, exit code 1."""

import sys

import typer

from client_autoencoder.errors import ClientError
from ioa.cli import broker, client, dataset, dead_letters, encoder, experiment, server, topics
from ioa.cli.demo import demo
from ioa.errors import IoaError
from schemas.errors import SchemaError
from server_classifier.errors import ServerError
from stream.errors import StreamError

app = typer.Typer(
    help="The internet of autoencoders: images stay in the house, latents travel, answers come "
    "back. Start with: ioa demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(demo)
for name, group in (
    ("broker", broker.app),
    ("topics", topics.app),
    ("encoder", encoder.app),
    ("client", client.app),
    ("server", server.app),
    ("dead-letters", dead_letters.app),
    ("dataset", dataset.app),
    ("experiment", experiment.app),
):
    app.add_typer(group, name=name)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ioa {version('internet-of-autoencoders')}")
        raise typer.Exit


@app.callback()
def root(
    _: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_print_version, is_eager=True
    ),
) -> None:
    """Learn together over Kafka without images leaving the house."""


# What is not in the base install, and the extra that brings it.
_EXTRAS = {
    "sqlalchemy": "server",
    "alembic": "server",
    "prometheus_client": "server",
    "psycopg": "postgres",
    "torch": "train",
    "onnx": "train",
    "safetensors": "train",
    "sklearn": "demo",
    "matplotlib": "demo",
}


def main() -> None:
    """Run the command line; known errors become one line on standard error."""
    try:
        app()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        sys.exit(
            f"ioa: this command needs {error.name}, which is not installed here: "
            f"pip install -c constraints.txt '.[{extra}]' in the project's folder, "
            "or '.[all]' for everything"
        )
    except (ClientError, IoaError, SchemaError, ServerError, StreamError) as error:
        sys.exit(f"ioa: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
