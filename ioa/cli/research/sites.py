"""``ioa experiment sites``: what each site adds to the others."""

from datetime import datetime
from typing import Annotated

import typer

from ioa.cli.options import Config, Database, Json, load
from ioa.cli.panels import TRAINING
from ioa.cli.printing import print_json, print_markdown
from ioa.cli.research.selection_options import parse_digits, parse_time
from ioa.cli.research.study import STUDIES, Jobs, Out, count_jobs
from ioa.cli.research.study_reports import warn_of_others
from ioa.cli.server_database import read_server_database
from server_classifier.heads.registry import check_head


def parse_noise(text: str) -> tuple[str, float]:
    """Read ``SITE=30``: 30 % of the labels of a site.

    Raises:
        typer.BadParameter: it is something else.
    """
    site, _, percent = text.partition("=")
    try:
        share = float(percent) / 100
    except ValueError:
        share = -1.0
    if not site or not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is no SITE=PERCENT, such as north=30")
    return site, share


def gather_noise(texts: list[str]) -> tuple[tuple[str, float], ...]:
    """Read all of ``--noise``, sorted by site.

    Raises:
        typer.BadParameter: one is no SITE=PERCENT, or a site is named twice.
    """
    changed = sorted(map(parse_noise, texts))
    if len(dict(changed)) < len(changed):
        raise typer.BadParameter("--noise names a site twice")
    return tuple(changed)


def sites(
    dataset: Annotated[str, typer.Argument(help="The name of a dataset.")],
    config: Config = None,
    database: Database = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="First digits of the encoder's id, where there are several.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    head: Annotated[
        str,
        typer.Option(
            help="The server's classifier mlp, linear or ncm, which are much faster, or conv.",
            parser=check_head,
            metavar="HEAD",
            rich_help_panel=TRAINING,
        ),
    ] = "mlp",
    seeds: Annotated[
        int, typer.Option(help="How many times, for the spread.", min=1, rich_help_panel=TRAINING)
    ] = 3,
    before: Annotated[
        datetime | None,
        typer.Option(
            help="Learn only from what Kafka took before this time.",
            parser=parse_time,
            metavar="TIME",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            help="Change so many % of a site's labels before learning; repeatable.",
            metavar="SITE=PERCENT",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    test_share: Annotated[
        float,
        typer.Option(
            help="Of subjects, images or messages, tested on.",
            min=0.01,
            max=0.9,
            rich_help_panel=TRAINING,
        ),
    ] = 0.2,
    orders: Annotated[
        int,
        typer.Option(
            help="Orders of the sites to sample at least, of over six.",
            min=2,
            rich_help_panel=TRAINING,
        ),
    ] = 30,
    out: Out = STUDIES,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Tell what each site adds to the others: the classifier is trained with and without it.

    Up to six sites all sets of sites are trained, hence the Shapley values are exact; above, the
    values are estimated. Trained sets are kept in OUT/sites-DATASET, and not trained again.

    Example: ioa experiment sites all --noise north=30
    """
    from ioa.research.reporting.records import write_whole
    from ioa.research.sites.coalitions import Game
    from ioa.research.sites.sites import run_sites
    from ioa.research.sites.table import render_sites
    from ioa.run.progress import show_done
    from server_classifier.store.datasets.latents import read_dataset

    settings = load(config).server.training
    changed = gather_noise(noise or [])
    with read_server_database(config, database, existing=True) as connection:
        latents = read_dataset(connection, dataset, parse_digits(encoder) if encoder else None)
    moment = None if before is None else int(before.timestamp() * 1000)
    game = Game(latents.digest, latents.encoder_id, head, settings, test_share, moment, changed)
    folder = out / f"sites-{dataset}"
    with show_done("sets of sites", quiet=as_json) as on_progress:
        report, trained = run_sites(
            *(dataset, latents, game, folder),
            seeds=seeds,
            orders=orders,
            jobs=count_jobs(jobs),
            on_progress=on_progress,
        )
    write_whole(folder / "table.md", render_sites(report).encode())
    warn_of_others(report.conditions, folder)
    if as_json:
        print_json(report.to_json() | {"trained": trained})
        return
    print_markdown((folder / "table.md").read_text())
    typer.echo(f"{trained} sets of sites trained now; table.md is in {folder}")
