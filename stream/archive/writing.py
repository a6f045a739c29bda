"""Writing an archive: all that comes after what it holds already, or nothing."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stream.archive.files import PartWriter
from stream.archive.manifest import (
    MANIFEST,
    UNFINISHED,
    ArchiveError,
    ArchiveManifest,
    Gap,
    Part,
    read_manifest,
    read_unfinished,
    sync_folder,
    write_file,
)
from stream.replay.source import RecordSource

OnProgress = Callable[[int, int], None]
"""Takes how many records are done and how many there are; some of these may be Kafka's own."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an archive.

    Attributes:
        manifest: of the whole archive.
        parts: those that are new.
        removed: names of files that an interrupted run had left.
    """

    manifest: ArchiveManifest
    parts: list[Part]
    removed: list[str]


def write_archive(
    folder: Path,
    source: RecordSource,
    registry: dict[str, Any],
    *,
    now: datetime,
    since: datetime | None = None,
    allow_gap: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> Written:
    """Make an archive of what a source has, or add what an archive does not hold yet.

    The manifest comes last: after a crash, a full disk or any error the archive is as it was. It
    stays so, registry included, where there is nothing to add.

    Args:
        registry: what is registered now; kept as it is.
        since: the time at which the source begins, if it is one; noted in a new archive.
        allow_gap: go on, and note it, where records were deleted from Kafka unarchived.

    Raises:
        ArchiveError: the folder is something else, full, or written to by another process; the
            source is of another topic, begins after a gap, or has nothing for a new archive.
        StreamError: the source cannot be read.
    """
    with _opened(folder):
        removed = _recover(folder)
        before = _find_archive(folder, source, now, since)
        starts, gaps = _choose_starts(before, source)
        if gaps and not allow_gap:
            raise ArchiveError(_describe_gaps(gaps, folder))
        parts = _write_parts(folder, source, starts, on_progress)
        if not parts:
            _refuse_empty(before, folder)
            return Written(before, [], removed)
        after = replace(
            before,
            extended_at=now,
            parts=(*before.parts, *parts),
            gaps=(*before.gaps, *gaps),
            registry=registry,
        )
        _publish(folder, after, parts)
    return Written(after, parts, removed)


def is_archive(folder: Path) -> bool:
    """Tell whether there is a manifest to which can be added."""
    return (folder / MANIFEST).exists()


@contextmanager
def _opened(folder: Path) -> Iterator[None]:
    """Make a folder for its owner alone and lock it; at the end, remove it if nothing is in it."""
    try:
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder):
            try:
                yield
            finally:
                _recover(folder)
                if is_new and not any(folder.iterdir()):
                    folder.rmdir()
    except OSError as error:
        raise ArchiveError(
            f"the archive {folder} cannot be written ({error.strerror}) and is as it was: see that "
            "there is room and that you may write there; then run the command again"
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ArchiveError(
            f"another process writes to the archive {folder}: wait until it ends"
        ) from error
    finally:
        os.close(descriptor)


def _find_archive(
    folder: Path, source: RecordSource, now: datetime, since: datetime | None
) -> ArchiveManifest:
    """Return the manifest to go on from, without parts for a new archive."""
    topic, log_id = source.ranges[0].topic, source.ranges[0].log_id
    if not is_archive(folder):
        _refuse_strangers(folder)
        folder.chmod(0o700)
        return ArchiveManifest(source.cluster_id, topic, log_id, now, now, (), (), {}, since)
    before = read_manifest(folder)
    if topic != before.topic:
        raise ArchiveError(f"{folder} is an archive of {before.topic}, not of {topic}")
    if log_id != before.log_id:
        raise ArchiveError(
            f"{folder} is an archive of another {topic} (id {before.log_id}): the topic was "
            f"deleted and made again (id {log_id}), or this is another cluster; name a new folder"
        )
    return before


def _refuse_strangers(folder: Path) -> None:
    names = sorted(one.name for one in folder.iterdir() if not one.name.endswith(UNFINISHED))
    if names:
        raise ArchiveError(
            f"{folder} holds {names[0]} and no {MANIFEST}: name a new or an empty folder, or "
            f"restore the {MANIFEST} of this archive"
        )


def _recover(folder: Path) -> list[str]:
    """Finish what was interrupted after its manifest was written, and remove what else is left."""
    begun = read_unfinished(folder)
    if begun is not None and all(_is_there(folder, part) for part in begun.parts):
        _give_names(folder, begun.parts)
    found = [
        file
        for pattern in ("part-*.parquet", MANIFEST)
        for file in folder.glob(pattern + UNFINISHED)
    ]
    for file in found:
        file.unlink()
    return sorted(file.name for file in found)


def _is_there(folder: Path, part: Part) -> bool:
    return any((folder / f"{part.name}{ending}").exists() for ending in ("", UNFINISHED))


def _choose_starts(
    before: ArchiveManifest, source: RecordSource
) -> tuple[dict[int, int], list[Gap]]:
    """Return where reading begins in each partition, and what is missing before that."""
    held = before.join_stretches()
    starts, gaps = {}, []
    for one in source.ranges:
        # A partition that came after the archive was begun is wanted from its first record on.
        _, end = held.get(one.partition, (0, 0 if before.parts else one.low))
        if one.low > end:
            gaps.append(Gap(one.partition, end, one.low))
        starts[one.partition] = max(end, one.low)
    return starts, gaps


def _describe_gaps(gaps: Iterable[Gap], folder: Path) -> str:
    places = "; ".join(
        f"partition {one.partition} is archived up to offset {one.low:,}, and Kafka holds "
        f"{one.high:,} and later"
        for one in gaps
    )
    return (
        f"records were deleted before they came into {folder}: {places}. --allow-gap goes on "
        "without them and notes it"
    )


def _refuse_empty(before: ArchiveManifest, folder: Path) -> None:
    if not before.parts:
        raise ArchiveError(
            f"{before.topic} holds no records there: there is nothing to make {folder} of"
        )


def _write_parts(
    folder: Path, source: RecordSource, starts: Mapping[int, int], on_progress: OnProgress
) -> list[Part]:
    rest = [
        one._replace(low=starts[one.partition], high=max(starts[one.partition], one.high))
        for one in source.ranges
    ]
    total, done = sum(one.high - one.low for one in rest), 0
    writer = PartWriter(folder, _next_number(folder), starts)
    on_progress(done, total)
    for batch in source.read(rest):
        writer.add(batch)
        done += len(batch)
        on_progress(done, total)
    return writer.finish({one.partition: one.high for one in rest})


def _next_number(folder: Path) -> int:
    """Return a number that no part file has, those included that no manifest names."""
    names = (file.name.removeprefix("part-").split(".")[0] for file in folder.glob("part-*"))
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def _publish(folder: Path, manifest: ArchiveManifest, parts: Iterable[Part]) -> None:
    """Write the manifest, the last that needs room; from then on a crash changes nothing."""
    write_file(folder / f"{MANIFEST}{UNFINISHED}", manifest.to_json())
    _give_names(folder, parts)


def _give_names(folder: Path, parts: Iterable[Part]) -> None:
    for name in (part.name for part in parts):
        if (unfinished := folder / f"{name}{UNFINISHED}").exists():
            unfinished.rename(folder / name)
    sync_folder(folder)
    (folder / f"{MANIFEST}{UNFINISHED}").replace(folder / MANIFEST)
    sync_folder(folder)
