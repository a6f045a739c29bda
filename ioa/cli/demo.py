"""``ioa demo``: the whole flow on this machine, with real parts."""

import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioa.cli.options import Json
from ioa.cli.program import program_name
from ioa.errors import SettingsError

if TYPE_CHECKING:
    from ioa.settings import Settings


def demo(
    data: Annotated[
        str, typer.Option(help="digits, an NPZ file, or a folder with one folder per class.")
    ] = "digits",
    keep: Annotated[
        Path | None, typer.Option(help="Run in this new or empty directory and leave all there.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the division of the images and all training.")] = 0,
    as_json: Json = False,
) -> None:
    """Five clients, a server and a real Kafka on this machine: from images to answers.

    Example: ioa demo --data path/to/images --keep run-1
    """
    from rich.console import Console

    from ioa.demo.report import print_next_commands, print_report
    from ioa.demo.scenario import Story, run_demo

    console = Console(stderr=as_json)
    with ExitStack() as stack:
        directory = _make_directory(keep, stack)
        story = Story(console)
        report = run_demo(directory, _demo_settings(directory), data, seed, story)
        picture = directory / "demo.png"
        if keep is None:
            picture = Path(shutil.copyfile(picture, "ioa-demo.png")).resolve()
        console.print()
        print_report(console, report, picture)
        print_next_commands(console, program_name(), keep)
    if as_json:
        typer.echo(json.dumps(report.to_dict() | {"picture": str(picture)}))
    if not report.agrees:
        raise typer.Exit(1)


def _make_directory(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ioa-demo-")))
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise SettingsError(f"{keep} is not empty; name a new directory with --keep")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _demo_settings(directory: Path) -> "Settings":
    """Return settings of the demo's own, whatever the environment says about a real cluster."""
    from client_autoencoder.settings import ClientSettings
    from ioa.settings import Settings
    from server_classifier.settings import ServerSettings
    from stream.settings import KafkaSettings

    return Settings.model_construct(
        kafka=KafkaSettings(),
        server=ServerSettings(database_url=f"sqlite:///{directory / 'ioa.db'}"),
        client=ClientSettings(),
    )
