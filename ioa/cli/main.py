"""The ``ioa`` command: one line per error, exit code 1, or 2 for wrong usage."""

import gc
import sys

import typer

from client_autoencoder.errors import ClientError
from ioa.cli.groups import CommandGroups
from ioa.errors import IoaError, UsageError
from schemas.errors import SchemaError
from server_classifier.errors import ServerError
from stream.errors import StreamError

app = typer.Typer(
    cls=CommandGroups,
    help="The internet of autoencoders: images stay in the house, latents travel, answers come "
    "back. Start with: ioa demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
WRONG_USAGE = 2
"""The exit code of an option that is missing or wrong, also typer's own."""
# Importing makes hundreds of thousands of objects that stay. With Python's 700, looking for garbage
# among them takes a tenth of the start.
_OBJECTS_PER_LOOK = 50_000


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
    "pyarrow": "archive",
    "torch": "train",
    "onnx": "train",
    "safetensors": "train",
    "sklearn": "demo",
    "matplotlib": "demo",
}


def main() -> None:
    """Run the command line; known errors become one line on standard error."""
    gc.set_threshold(_OBJECTS_PER_LOOK)
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
    except UsageError as error:
        print(f"ioa: {error}", file=sys.stderr)
        sys.exit(WRONG_USAGE)
    except (ClientError, IoaError, SchemaError, ServerError, StreamError) as error:
        sys.exit(f"ioa: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
