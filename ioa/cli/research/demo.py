"""``ioa demo``: the whole flow on this machine, with real parts."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from ioa.cli.options import Json
from ioa.cli.printing import print_json
from ioa.cli.program import program_name

app = typer.Typer()


@app.command()
def demo(
    data: Annotated[
        str, typer.Option(help="digits, an NPZ or IDX file, or a folder with one folder per class.")
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
    from ioa.demo.scenario import run_demo
    from ioa.research.lab.deployment import local_settings
    from ioa.research.lab.story import Story
    from ioa.research.lab.working_directory import working_directory

    console = Console(stderr=as_json)
    with working_directory(keep, "ioa-demo-") as directory:
        story = Story(console)
        report = run_demo(directory, local_settings(directory), data, seed, story)
        picture = directory / "demo.png"
        if keep is None:
            picture = Path(shutil.copyfile(picture, "ioa-demo.png")).resolve()
        console.print()
        print_report(console, report, picture)
        print_next_commands(console, program_name(), keep)
    if as_json:
        print_json(report.to_dict() | {"picture": str(picture)})
    if not report.agrees:
        raise typer.Exit(1)
