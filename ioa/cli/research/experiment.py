"""``ioa experiment``: the papers' experiments, and studies of one's own on datasets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ioa.cli.options import Json
from ioa.cli.panels import IMAGES, LATENTS, OUTPUT
from ioa.cli.printing import print_json, print_markdown
from ioa.cli.research import sites, study

if TYPE_CHECKING:
    from ioa.research.papers.one_shot_latents.plan import Plan
    from ioa.research.reporting.results import Figures

app = typer.Typer(
    help="The papers' experiments, through the real clients, broker and server; and studies of "
    "your own on datasets.",
    no_args_is_help=True,
)

app.command()(study.run)
app.command("list")(study.list_studies)
app.command()(study.show)
app.command()(study.diff)
app.command()(sites.sites)

RESULTS = Path("experiments/results")
Out = Annotated[
    Path,
    typer.Option(help="Where JSON, Markdown and PNG go.", file_okay=False, rich_help_panel=OUTPUT),
]


@app.command("003")
def run_003(
    data: Annotated[
        str,
        typer.Option(
            help="digits, an NPZ file, a folder of MNIST's IDX files or of classes.",
            rich_help_panel=IMAGES,
        ),
    ],
    seeds: Annotated[int, typer.Option(help="How many times, for mean and spread.", min=1)] = 1,
    latent: Annotated[
        int, typer.Option(help="Numbers per image.", min=1, max=65536, rich_help_panel=LATENTS)
    ] = 784,
    dtype: Annotated[
        Literal["float32", "int8"],
        typer.Option(help="As what latents travel.", rich_help_panel=LATENTS),
    ] = "float32",
    augment: Annotated[
        int,
        typer.Option(
            help="Changed copies a client sends of each image.",
            min=0,
            max=100,
            rich_help_panel=IMAGES,
        ),
    ] = 0,
    non_iid: Annotated[
        bool, typer.Option("--non-iid", help="Two classes per client.", rich_help_panel=IMAGES)
    ] = False,
    encoder: Annotated[
        Literal["shared", "own", "one-client"],
        typer.Option(
            help="Trained on public images, by every client, or by one for all.",
            rich_help_panel=LATENTS,
        ),
    ] = "shared",
    size: Annotated[
        int | None,
        typer.Option(
            help="Resize to SIZE x SIZE. Default: 28 above 32 pixels.",
            min=2,
            max=1024,
            rich_help_panel=IMAGES,
        ),
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="Search learning rate, dropout and width first.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few training steps: shows that it works, not how well.")
    ] = False,
    out: Out = RESULTS,
    keep: Annotated[
        Path | None,
        typer.Option(help="New directory for what the processes leave.", rich_help_panel=OUTPUT),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Learn from a replay of the messages in DIR, which a run with the same options "
            "has left with --keep, and encode and send nothing again.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The experiment of Salehinejad et al.: five clients x 1,000 images, their tables and figures.

    Example: ioa experiment 003 --data mnist.npz --augment 10 --seeds 3
    """
    from ioa.research.papers.one_shot_latents.plan import Plan

    plan = Plan(
        *(data, seeds, latent, dtype, augment),
        non_iid=non_iid,
        encoder=encoder,
        size=size,
        grid=grid,
        quick=quick,
    )
    result = _run(plan, out, keep, replay, quiet=as_json)
    if as_json:
        print_json(result)


@app.command()
def tables(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where mnist.npz, medical_mnist.npz and chest_xray.npz lie.",
            envvar="IOA_DATA_DIR",
            file_okay=False,
            exists=True,
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(help="Only results whose name holds this, such as mnist-64.")
    ] = "",
    out: Out = RESULTS,
) -> None:
    """Make all our tables again, three seeds each, from the data at hand.

    Example: ioa experiment tables --data-dir data/ --only mnist
    """
    from ioa.errors import NoResult
    from ioa.research.papers.one_shot_latents.plan import list_plans

    known, missing = list_plans(data_dir)
    for name in missing:
        typer.echo(f"left out: {name} is not there; name its folder with --data-dir", err=True)
    plans = [plan for plan in known if only in plan.name]
    if not plans:
        raise NoResult(f"no plan is called {only}; see ioa experiment tables --help")
    failed = [plan.name for plan in plans if not _try(plan, out)]
    summary(out)
    if failed:
        raise NoResult(f"failed, see above: {', '.join(failed)}")


@app.command()
def summary(out: Out = RESULTS) -> None:
    """Print all results side by side, as Markdown. Example: ioa experiment summary"""
    from ioa.errors import NoResult
    from ioa.research.papers.one_shot_latents.page import render_summary
    from ioa.research.papers.one_shot_latents.plan import EXPERIMENT
    from ioa.research.reporting.results import read_results

    paths = sorted(out.glob("*.json"))
    if not paths:
        raise NoResult(f"there is no result in {out}; make one with ioa experiment 003")
    typer.echo(render_summary(read_results(paths, EXPERIMENT)), nl=False)


def _try(plan: "Plan", out: Path) -> bool:
    """Run a plan and tell whether it worked; a failure is printed and does not stop the others."""
    from client_autoencoder.errors import ClientError
    from ioa.errors import IoaError
    from stream.errors import StreamError

    try:
        _run(plan, out, None, None, quiet=True)
    except (ClientError, IoaError, StreamError) as error:
        typer.echo(f"{plan.name}: {error}", err=True)
        return False
    return True


def _run(
    plan: "Plan", out: Path, keep: Path | None, replayed: Path | None, *, quiet: bool
) -> "Figures":
    """Run a plan, write its files and return the result."""
    from rich.console import Console

    from ioa.research.lab.story import Story
    from ioa.research.papers.one_shot_latents.figure import draw_samples
    from ioa.research.papers.one_shot_latents.page import render_page
    from ioa.research.papers.one_shot_latents.run import run_experiment
    from ioa.research.reporting.results import prepare_directory, write_result

    prepare_directory(out)
    console = Console(stderr=quiet)
    story = Story(console)
    result, samples = run_experiment(plan, keep, datetime.now(UTC), story, replayed=replayed)
    result = write_result(out, result, render_page, draw_samples(samples))
    page = out / f"{result['name']}.md"
    if not quiet:
        print_markdown(page.read_text())
    console.print(f"Written: {page}, and JSON and PNG beside it", soft_wrap=True, highlight=False)
    return result
