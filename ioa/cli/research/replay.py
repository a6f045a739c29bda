"""``ioa replay run``: part of a topic into a database of its own, for experiments."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ioa.cli.options import Bootstrap, Config, Database, Json, Prefix, load
from ioa.cli.panels import WINDOW
from ioa.cli.printing import print_json
from ioa.cli.research.selection_options import Client, Encoder, Label, Site, make_selection

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ioa.settings import Settings
    from server_classifier.intake.replay_report import ReplayReport, ReplayRequest
    from server_classifier.store.registry.copy import RegistryCopy
    from server_classifier.store.replays import ReplayRow
    from stream.replay.source import RecordSource
    from stream.replay.window import Window

Into = Annotated[
    str, typer.Option(metavar="URL", help="The database to fill: a new one, sqlite:///replay.db.")
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="OFFSET|TIME",
        help="Where to begin: an offset in each partition, or a time by the broker's clock, such "
        "as 2026-11-21T08:00 (UTC unless it names a zone). Default: the earliest.",
        rich_help_panel=WINDOW,
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="OFFSET|TIME",
        help="Where to end; this offset or time itself is left out. Default: what is the end when "
        "the replay begins.",
        rich_help_panel=WINDOW,
    ),
]
Mode = Annotated[
    Literal["learning", "service"],
    typer.Option(
        help="Which topic. What is stored of questions has no label.", rich_help_panel=WINDOW
    ),
]
Archive = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Read from a folder of `ioa archive write`, with the encoders and clients noted "
        "there, and not from Kafka.",
        rich_help_panel=WINDOW,
    ),
]
Speed = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="Keep the distances between the times of the records, N times as fast. Default: as "
        "fast as possible.",
        rich_help_panel=WINDOW,
    ),
]

app = typer.Typer(
    help="Fill a database of its own from a topic, beside the live server.", no_args_is_help=True
)


@app.command()
def run(
    into: Into,
    since: From = None,
    until: To = None,
    site: Site = None,
    client: Client = None,
    label: Label = None,
    encoder: Encoder = None,
    mode: Mode = "learning",
    archive: Archive = None,
    speed: Speed = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Fill a database of its own from a topic, beside the live server and without touching it.

    Encoders and clients are those registered in the live database (--database), which is only
    read. The same command goes on where it was interrupted, and once finished it prints the same
    again. Train on it with `ioa server train --database URL`. Exit code 1 where nothing was stored.

    Example: ioa replay run --from 2026-11-01 --site st-mary --into sqlite:///november.db
    """
    from ioa.run.garbage_collector import relieve_collector
    from server_classifier.intake.replay_report import ReplayReport, ReplayRequest
    from server_classifier.store.latents.selection_check import refuse_unregistered
    from stream.replay.window import Window

    if speed is not None and not 0 < speed < math.inf:
        raise typer.BadParameter("--speed must be a number above 0")
    settings = load(config, bootstrap, prefix, server={"database_url": database})
    now = datetime.now(UTC)
    with _target(into, settings.server.database_url) as target:
        window = Window.parse(since, until, now)
        source, registry = _open(settings, archive, mode, window)
        for skip in source.skipped:
            lost = f"{skip.topic}[{skip.partition}] offsets {skip.low} to {skip.high - 1}"
            typer.echo(f"left out, skipped by an operator: {lost}", err=True)
        selection = make_selection(site, client, label, encoder)
        refuse_unregistered(registry, selection)
        request = ReplayRequest(
            *(source.cluster_id, source.topic, mode, str(window), selection),
            labels=settings.server.labels,
            max_labels=settings.server.max_labels,
        )
        relieve_collector()
        row = _run(target, source, request, registry, speed=speed, quiet=as_json)
    if row.finished_at and row.finished_at < now:
        typer.echo(f"finished at {row.finished_at:%Y-%m-%d %H:%M} UTC; nothing is new", err=True)
    _print(row, ReplayReport.from_json(row.report), as_json)


@contextmanager
def _target(url: str, live: str) -> "Iterator[Engine]":
    """Open the database to fill, for the block; nothing connects yet."""
    from server_classifier.store.database import open_database
    from server_classifier.store.replays import refuse_live

    engine = open_database(url)
    refuse_live(engine, live)
    try:
        yield engine
    finally:
        engine.dispose()


def _open(
    settings: "Settings", archive: Path | None, mode: Mode, window: "Window"
) -> tuple["RecordSource", "RegistryCopy"]:
    """Return what is read, and the encoders and clients that were registered for it."""
    from server_classifier.store.registry.copy import RegistryCopy, read_registry
    from server_classifier.store.skips import read_skips
    from stream.exchange.exchanges import find_exchange
    from stream.exchange.topics import Topics
    from stream.replay.kafka_source import KafkaSource

    if archive is not None:
        from stream.archive.source import ArchiveSource  # pyarrow is an extra

        kept = ArchiveSource(archive, window)
        if not kept.topic.endswith(f".{mode}"):
            raise typer.BadParameter(f"{archive} holds {kept.topic}; leave --mode {mode} out")
        for gap in kept.gaps:
            lost = f"{kept.topic}[{gap.partition}] offsets {gap.low} to {gap.high - 1}"
            typer.echo(f"not in the archive, deleted before it was written: {lost}", err=True)
        return kept, RegistryCopy.from_json(kept.registry)
    topic = Topics(settings.kafka.prefix).of(find_exchange(mode))
    registry = read_registry(settings.server.database_url)
    skips = read_skips(settings.server.database_url, topic.name)
    return KafkaSource(settings.kafka, topic.name, window, skips), registry


def _run(
    target: "Engine",
    source: "RecordSource",
    request: "ReplayRequest",
    registry: "RegistryCopy",
    *,
    speed: float | None,
    quiet: bool,
) -> "ReplayRow":
    from ioa.run.progress import show_progress
    from server_classifier.intake.replay import Replay
    from stream.replay.pacing import read_paced

    now, clock = partial(datetime.now, UTC), time.monotonic
    replay = Replay(target, request, registry, now=now, clock=clock)
    read = source.read
    if speed is not None:
        read = partial(read_paced, source, speed=speed, clock=clock, sleep=time.sleep)
    with show_progress("replayed", quiet=quiet) as update:
        return replay.run(
            source, read, lambda report: update(completed=report.read, total=report.total)
        )


def _print(row: "ReplayRow", report: "ReplayReport", as_json: bool) -> None:
    from stream.replay.window import describe_ranges

    if as_json:
        print_json(_to_json(row, report))
    else:
        topic = report.ranges[0].topic
        refused = sum(refusal.count for refusal in report.refused.values())
        typer.echo(f"read {report.read:,} records of {topic}: {describe_ranges(report.ranges)}")
        typer.echo(
            f"stored {report.stored:,}, known by their messageID {report.known:,}, "
            f"filtered out {report.filtered:,}, refused {refused:,}"
        )
        for field, refusal in sorted(report.refused.items()):
            partition, offset = refusal.first
            first = f"{topic}[{partition}]@{offset}"
            typer.echo(f"  {field}: {refusal.count:,}, the first at {first}")
        typer.echo(f"digest {row.digest}")
    if not report.stored:
        typer.echo("ioa: nothing was stored: see above why, and ask for more", err=True)
        raise typer.Exit(1)


def _to_json(row: "ReplayRow", report: "ReplayReport") -> dict[str, Any]:
    return {
        "topic": report.ranges[0].topic,
        "partitions": [
            {"partition": read.partition, "from": read.low, "to": read.high}
            for read in report.ranges
        ],
        "read": report.read,
        "stored": report.stored,
        "known": report.known,
        "filtered": report.filtered,
        "refused": {
            field: {
                "count": refusal.count,
                "first": dict(zip(("partition", "offset"), refusal.first, strict=True)),
            }
            for field, refusal in report.refused.items()
        },
        "digest": row.digest,
        "started_at": row.started_at.isoformat(timespec="milliseconds"),
        "finished_at": row.finished_at and row.finished_at.isoformat(timespec="milliseconds"),
    }
