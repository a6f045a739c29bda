"""``ioa archive``: learning records past Kafka's retention, in a folder of Parquet files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ioa.cli.options import Bootstrap, Config, Database, Json, Prefix, load
from ioa.cli.printing import print_findings, print_json

if TYPE_CHECKING:
    from ioa.settings import Settings
    from stream.archive.manifest import ArchiveManifest
    from stream.archive.writing import Written
    from stream.replay.window import Window

app = typer.Typer(
    help="Keep learning records past Kafka's retention, in a folder of Parquet files.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The archive.", file_okay=False)]


@app.command()
def write(
    folder: Folder,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="OFFSET|TIME",
            help="Where a new archive begins. Default: the earliest that is kept.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="OFFSET|TIME",
            help="Up to, but not with, this. Default: all that is there at the start.",
        ),
    ] = None,
    allow_gap: Annotated[
        bool,
        typer.Option(
            "--allow-gap", help="Go on where records were deleted unarchived; it is noted."
        ),
    ] = False,
    config: Config = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Copy the learning records as they are in Kafka, or those that an archive does not hold yet.

    The encoders and clients that are registered go with them, so that `ioa replay run` needs
    nothing else. The manifest is written last: interrupted at any moment, the archive is as it was.
    A time is in UTC unless it names its zone. Latents are personal data: only the owner may read
    the folder; keep it, and every copy, as safe as the database.

    Example: ioa archive write /archive/ioa-learning
    """
    from stream.archive.writing import is_archive
    from stream.replay.window import Window

    if since is not None and is_archive(folder):
        raise typer.BadParameter(f"--from is for a new archive; {folder} goes on where it ends")
    now = datetime.now(UTC)
    window = Window.parse(since, until, now)
    settings = load(config, bootstrap, prefix, server={"database_url": database})
    written = _copy(folder, settings, window, now, allow_gap=allow_gap, quiet=as_json)
    added = sum(file.records for file in written.files)
    if as_json:
        facts = {"added": added, "removed": written.removed}
        print_json(facts | _to_json(written.manifest))
        return
    for name in written.removed:
        typer.echo(f"removed {name}, which an interrupted run had left")
    _print(written.manifest)
    typer.echo(f"added {added:,} records; files: {len(written.files)}")


@app.command()
def check(folder: Folder, as_json: Json = False) -> None:
    """Check every file of an archive against the manifest; exit code 1 where anything is wrong.

    Example: ioa archive check /archive/ioa-learning
    """
    from ioa.run.progress import show_done
    from stream.archive.checking import verify_archive

    with show_done("checked", quiet=as_json) as on_progress:
        report = verify_archive(folder, on_progress)
    content = _to_json(report.manifest) if report.manifest else {}
    if as_json:
        print_json({"findings": report.findings} | content)
    else:
        if report.manifest:
            _print(report.manifest)
        print_findings(report.findings)
    if report.findings:
        raise typer.Exit(1)


def _copy(
    folder: Path,
    settings: "Settings",
    window: "Window",
    now: datetime,
    *,
    allow_gap: bool,
    quiet: bool,
) -> "Written":
    from ioa.run.garbage_collector import relieve_collector
    from ioa.run.progress import show_done
    from server_classifier.store.registry.copy import RegistryCopy, read_registry
    from server_classifier.store.skips import read_skips
    from stream.archive.manifest import read_manifest
    from stream.archive.writing import is_archive, write_archive
    from stream.exchange.exchanges import LEARNING
    from stream.exchange.topics import Topics
    from stream.replay.kafka_source import KafkaSource

    registry = read_registry(settings.server.database_url)
    if is_archive(folder):
        registry = registry.keep(RegistryCopy.from_json(read_manifest(folder).registry))
    topic = Topics(settings.kafka.prefix).of(LEARNING).name
    skips = read_skips(settings.server.database_url, topic)
    source = KafkaSource(settings.kafka, topic, window, skips)
    relieve_collector()
    with show_done("archived", quiet=quiet) as on_progress:
        return write_archive(
            folder,
            source,
            registry.to_json(),
            now=now,
            since=window.since if isinstance(window.since, datetime) else None,
            allow_gap=allow_gap,
            on_progress=on_progress,
        )


def _print(manifest: "ArchiveManifest") -> None:
    typer.echo(
        f"{manifest.topic}: {manifest.records:,} records in {len(manifest.files)} files, "
        f"{manifest.size:,} bytes"
    )
    for kept in manifest.ranges:
        typer.echo(f"{kept.topic}[{kept.partition}] offsets {kept.low:,} to {kept.high - 1:,}")
    for gap in manifest.gaps:
        typer.echo(
            f"{manifest.topic}[{gap.partition}] offsets {gap.low:,} to {gap.high - 1:,} were "
            "deleted before they were archived"
        )
    for skip in manifest.skipped:
        typer.echo(
            f"{manifest.topic}[{skip.partition}] offsets {skip.low:,} to {skip.high - 1:,} could "
            "not be read, and an operator has skipped them"
        )


def _to_json(manifest: "ArchiveManifest") -> dict[str, Any]:
    return {
        "cluster_id": manifest.cluster_id,
        "topic": manifest.topic,
        "log_id": manifest.log_id,
        "records": manifest.records,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "extents": [
            {"partition": kept.partition, "low": kept.low, "high": kept.high}
            for kept in manifest.ranges
        ],
        "gaps": [
            {"partition": gap.partition, "low": gap.low, "high": gap.high} for gap in manifest.gaps
        ],
        "skipped": [
            {"partition": skip.partition, "low": skip.low, "high": skip.high}
            for skip in manifest.skipped
        ],
    }
