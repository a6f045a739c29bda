"""Runs a paper's plan and writes its result: JSON, Markdown and PNG."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioa.cli.panels import OUTPUT
from ioa.cli.printing import print_json, print_markdown

if TYPE_CHECKING:
    from ioa.research.lab.plan import PaperPlan

RESULTS = Path("experiments/results")
Seeds = Annotated[int, typer.Option(help="How many times, for mean and spread.", min=1)]
Out = Annotated[
    Path,
    typer.Option(help="Where JSON, Markdown and PNG go.", file_okay=False, rich_help_panel=OUTPUT),
]
Keep = Annotated[
    Path | None,
    typer.Option(help="New directory for what the processes leave.", rich_help_panel=OUTPUT),
]
Replay = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Learn from a replay of the messages in DIR, which a run with the same options "
        "has left with --keep, and encode and send nothing again.",
        exists=True,
        file_okay=False,
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Few training steps: shows that it works, not how well.")
]


def write_paper(
    plan: "PaperPlan", out: Path, keep: Path | None, replayed: Path | None, *, as_json: bool
) -> None:
    """Run a plan, write its files, and print its page or the result as JSON."""
    from rich.console import Console

    from ioa.research.lab.story import Story
    from ioa.research.papers.registry import PAPERS
    from ioa.research.reporting.results import prepare_directory, write_result

    prepare_directory(out)
    console, paper = Console(stderr=as_json), PAPERS[plan.experiment]
    result, picture = paper.run(plan, keep, datetime.now(UTC), Story(console), replayed=replayed)
    result = write_result(out, result, paper.render_page, picture)
    page = out / f"{result['name']}.md"
    if as_json:
        print_json(result)
    else:
        print_markdown(page.read_text())
    console.print(f"Written: {page}, and JSON and PNG beside it", soft_wrap=True, highlight=False)


def try_paper(plan: "PaperPlan", out: Path) -> bool:
    """Run a plan and tell whether it worked; a failure is printed and does not stop the others."""
    from client_autoencoder.errors import ClientError
    from ioa.errors import IoaError
    from stream.errors import StreamError

    try:
        write_paper(plan, out, None, None, as_json=False)
    except (ClientError, IoaError, StreamError) as error:
        typer.echo(f"{plan.name}: {error}", err=True)
        return False
    return True
