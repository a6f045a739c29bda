"""``ioa experiment 003``: latents of five clients, sent once, train one classifier."""

from typing import Annotated, Literal

import typer

from ioa.cli.options import Json
from ioa.cli.panels import IMAGES, LATENTS
from ioa.cli.research.papers.results import RESULTS, Keep, Out, Quick, Replay, Seeds, write_paper


def run_003(
    data: Annotated[
        str,
        typer.Option(
            help="digits, an NPZ file, a folder of MNIST's IDX files or of classes.",
            rich_help_panel=IMAGES,
        ),
    ],
    seeds: Seeds = 1,
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
    quick: Quick = False,
    out: Out = RESULTS,
    keep: Keep = None,
    replay: Replay = None,
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
    write_paper(plan, out, keep, replay, as_json=as_json)
