"""``ioa experiment 001``: an exit at the edge, maps that go up once, no gradient back."""

from typing import Annotated

import typer

from ioa.cli.options import Json
from ioa.cli.panels import IMAGES
from ioa.cli.research.papers.results import RESULTS, Keep, Out, Quick, Replay, Seeds, write_paper
from ioa.errors import UsageError

LINK = "Modelled link"


def run_001(
    data: Annotated[
        str,
        typer.Option(
            help="digits, an NPZ file, a folder of MNIST's IDX files or of classes.",
            rich_help_panel=IMAGES,
        ),
    ],
    seeds: Seeds = 1,
    epochs: Annotated[
        int, typer.Option(help="Passes of every training over the images.", min=1)
    ] = 6,
    size: Annotated[
        int | None,
        typer.Option(
            help="Resize to SIZE x SIZE. Default: 28 above 32 pixels.",
            min=4,
            max=1024,
            rich_help_panel=IMAGES,
        ),
    ] = None,
    mbps: Annotated[
        str, typer.Option(help="Bandwidths in Mbit/s.", rich_help_panel=LINK)
    ] = "1,10,100",
    edge_slower: Annotated[
        float,
        typer.Option(help="How many times slower the slower edge is.", rich_help_panel=LINK),
    ] = 10.0,
    quick: Quick = False,
    out: Out = RESULTS,
    keep: Keep = None,
    replay: Replay = None,
    as_json: Json = False,
) -> None:
    """The experiment of Sepehri et al.: central, split and early-exit training side by side.

    Example: ioa experiment 001 --data mnist.npz --seeds 3
    """
    from ioa.research.papers.early_exit.plan import Plan

    bandwidths = _read_bandwidths(mbps)
    plan = Plan(data, seeds, epochs, size, bandwidths, edge_slower, quick)
    write_paper(plan, out, keep, replay, as_json=as_json)


def _read_bandwidths(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise UsageError(f"--mbps is {text!r}; it must be numbers such as 1,10,100") from error
