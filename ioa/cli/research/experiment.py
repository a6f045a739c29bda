"""``ioa experiment``: the papers' experiments, and studies of one's own on datasets."""

from pathlib import Path
from typing import Annotated

import typer

from ioa.cli.research import sites, study
from ioa.cli.research.papers import early_exit, one_shot_latents
from ioa.cli.research.papers.results import RESULTS, Out, try_paper

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

app.command("001")(early_exit.run_001)
app.command("003")(one_shot_latents.run_003)


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
    from ioa.research.lab.plan import find_data
    from ioa.research.papers.registry import PAPERS

    listed = [plan for paper in PAPERS.values() for plan in paper.plans]
    known, missing = find_data(listed, data_dir)
    for name in missing:
        typer.echo(f"left out: {name} is not there; name its folder with --data-dir", err=True)
    plans = [plan for plan in known if only in plan.name]
    if not plans:
        raise NoResult(f"no plan is called {only}; see ioa experiment tables --help")
    failed = [plan.name for plan in plans if not try_paper(plan, out)]
    summary(out)
    if failed:
        raise NoResult(f"failed, see above: {', '.join(failed)}")


@app.command()
def summary(out: Out = RESULTS) -> None:
    """Print all results side by side, as Markdown. Example: ioa experiment summary"""
    from ioa.errors import NoResult
    from ioa.research.papers.registry import PAPERS
    from ioa.research.reporting.results import read_results

    paths = sorted(out.glob("*.json"))
    if not paths:
        raise NoResult(f"there is no result in {out}; make one with ioa experiment 003")
    results = read_results(paths, PAPERS)
    tables = [PAPERS[number].render_summary(of) for number, of in sorted(results.items())]
    typer.echo("\n".join(tables), nl=False)
