"""Writing an archive: everything after what it holds already, or nothing.

1. New files, and then the manifest, are written under names that end with ``.unfinished``.
2. The files get their names.
3. The manifest gets its name: only now does the archive hold what is new.

So after a crash ``_recover`` removes what was written or finishes the renaming, and never takes
another's file, which no manifest names, for what a crash left behind.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stream.archive.files import FileWriter, OnProgress
from stream.archive.manifest import (
    MANIFEST,
    UNFINISHED,
    ArchivedRange,
    ArchiveError,
    ArchiveFile,
    ArchiveManifest,
    read_manifest,
    read_unfinished,
)
from stream.artefacts.atomic_file import sync, write_private
from stream.kafka.offsets import OffsetRange
from stream.replay.source import RecordSource
from stream.replay.window import find_overlaps


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an archive.

    Attributes:
        manifest: of the whole archive.
        files: those that are new.
        removed: names of files that an interrupted run had left.
    """

    manifest: ArchiveManifest
    files: list[ArchiveFile]
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

    After a crash, a full disk or any error the archive is as it was. It stays so, registry
    included, where there is nothing to add.

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
        rest = _find_rest(source, starts)
        files = _write_files(folder, source, rest, on_progress)
        if not (files or before.files):
            raise ArchiveError(
                f"{before.topic} holds no records there: there is nothing to make {folder} of"
            )
        if not files:
            return Written(before, [], removed)
        after = replace(
            before,
            extended_at=now,
            files=(*before.files, *files),
            gaps=(*before.gaps, *gaps),
            registry=registry,
            skipped=(*before.skipped, *_find_skipped(source, rest)),
        )
        # The last that needs room; from then on a crash changes nothing.
        write_private(folder / f"{MANIFEST}{UNFINISHED}", after.to_json())
        _give_names(folder, files)
    return Written(after, files, removed)


def is_archive(folder: Path) -> bool:
    """Tell whether the folder has the manifest of an archive."""
    return (folder / MANIFEST).exists()


@contextmanager
def _opened(folder: Path) -> Iterator[None]:
    """Make a folder for its owner alone and lock it; remove it in the end if it is empty."""
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
    """Return the manifest to go on from; that of a new archive names no files."""
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
    names = sorted(path.name for path in folder.iterdir() if not path.name.endswith(UNFINISHED))
    if names:
        raise ArchiveError(
            f"{folder} holds {names[0]} and no {MANIFEST}: name a new or an empty folder, or "
            f"restore the {MANIFEST} of this archive"
        )


def _recover(folder: Path) -> list[str]:
    """Finish what was interrupted after its manifest was written, and remove what else is left."""
    unfinished = read_unfinished(folder)
    if unfinished is not None and all(_is_there(folder, file) for file in unfinished.files):
        _give_names(folder, unfinished.files)
    leftovers = [
        path
        for pattern in ("part-*.parquet", MANIFEST)
        for path in folder.glob(pattern + UNFINISHED)
    ]
    for path in leftovers:
        path.unlink()
    return sorted(path.name for path in leftovers)


def _is_there(folder: Path, file: ArchiveFile) -> bool:
    return any((folder / f"{file.name}{ending}").exists() for ending in ("", UNFINISHED))


def _choose_starts(
    before: ArchiveManifest, source: RecordSource
) -> tuple[dict[int, int], list[ArchivedRange]]:
    """Return where reading begins in each partition, and what is missing before that."""
    ends = {archived.partition: archived.high for archived in before.ranges}
    starts, gaps = {}, []
    for held in source.ranges:
        # A partition that came after the archive was begun is wanted from its first record on.
        end = ends.get(held.partition, 0 if before.files else held.low)
        if held.low > end:
            gaps.append(ArchivedRange(held.partition, end, held.low))
        starts[held.partition] = max(end, held.low)
    return starts, gaps


def _describe_gaps(gaps: Iterable[ArchivedRange], folder: Path) -> str:
    missing = "; ".join(
        f"partition {gap.partition} is archived up to offset {gap.low:,}, and Kafka holds "
        f"{gap.high:,} and later"
        for gap in gaps
    )
    return (
        f"records were deleted before they came into {folder}: {missing}. --allow-gap goes on "
        "without them and notes it"
    )


def _find_rest(source: RecordSource, starts: Mapping[int, int]) -> list[OffsetRange]:
    return [
        held._replace(low=starts[held.partition], high=max(starts[held.partition], held.high))
        for held in source.ranges
    ]


def _find_skipped(source: RecordSource, rest: Sequence[OffsetRange]) -> list[ArchivedRange]:
    return [
        ArchivedRange(skip.partition, skip.low, skip.high)
        for skip in find_overlaps(rest, source.skipped)
    ]


def _write_files(
    folder: Path, source: RecordSource, rest: Sequence[OffsetRange], on_progress: OnProgress
) -> list[ArchiveFile]:
    total, done = sum(missing.high - missing.low for missing in rest), 0
    starts = {missing.partition: missing.low for missing in rest}
    writer = FileWriter(folder, _next_number(folder), starts)
    on_progress(done, total)
    for batch in source.read(rest):
        writer.add(batch)
        done += len(batch)
        on_progress(done, total)
    return writer.finish({missing.partition: missing.high for missing in rest})


def _next_number(folder: Path) -> int:
    """Return a number that no file has, those included that no manifest names."""
    names = (path.name.removeprefix("part-").split(".")[0] for path in folder.glob("part-*"))
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def _give_names(folder: Path, files: Iterable[ArchiveFile]) -> None:
    for file in files:
        if (unfinished := folder / f"{file.name}{UNFINISHED}").exists():
            unfinished.rename(folder / file.name)
    sync(folder)
    (folder / f"{MANIFEST}{UNFINISHED}").replace(folder / MANIFEST)
    sync(folder)
