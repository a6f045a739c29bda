"""Looking for damage in an archive: every file against the manifest, and the manifest itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stream.archive.files import OnProgress, find_file_ranges
from stream.archive.manifest import (
    MANIFEST,
    UNFINISHED,
    ArchiveError,
    ArchiveFile,
    ArchiveManifest,
    read_manifest,
    read_unfinished,
)
from stream.artefacts.checksums import sha256_of


@dataclass(slots=True)
class Report:
    """The findings; ``manifest`` is None where it cannot be read."""

    manifest: ArchiveManifest | None = None
    findings: list[str] = field(default_factory=list)


def verify_archive(folder: Path, on_progress: OnProgress = lambda *_: None) -> Report:
    """Check all of an archive; files of a run that goes on or was interrupted do not count."""
    report = Report()
    try:
        manifest = report.manifest = read_manifest(folder)
    except ArchiveError as error:
        report.findings.append(str(error))
        return report
    done = 0
    for file in manifest.files:
        try:
            check_file(folder, file)
            _check_content(folder, file)
        except ArchiveError as error:
            report.findings.append(str(error))
        done += file.records
        on_progress(done, manifest.records)
    report.findings += _find_strangers(folder, manifest)
    return report


def check_file(folder: Path, file: ArchiveFile) -> None:
    """Compare a file with its size and sum.

    Raises:
        ArchiveError: it is missing, or not what was written; the text names the file.
    """
    path = folder / file.name
    content = f"the {file.records:,} records in it"
    try:
        size, actual = path.stat().st_size, sha256_of(path)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} is missing, and {content}: restore it from a copy") from error
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror})") from error
    if size != file.size:
        raise ArchiveError(
            f"{path} has {size:,} bytes, not {file.size:,}; {content} cannot be trusted: restore "
            "it from a copy"
        )
    if actual != file.sha256:
        raise ArchiveError(
            f"{path} was changed: its sha256 is {actual}, not {file.sha256}; {content} cannot be "
            "trusted: restore it from a copy"
        )


def _check_content(folder: Path, file: ArchiveFile) -> None:
    """Compare counts, offsets and times, which the sum does not say to be right."""
    path = folder / file.name
    try:
        ranges = find_file_ranges(path)
    except (ArchiveError, pa.ArrowException) as error:
        raise ArchiveError(f"{path}: {error}") from error
    for stated in file.ranges:
        actual = ranges.pop(stated.partition, None)
        if actual is None and stated.records == 0:
            continue
        if actual is None or not (
            (actual.records, actual.earliest, actual.latest)
            == (stated.records, stated.earliest, stated.latest)
            and stated.low <= actual.low
            and actual.high <= stated.high
        ):
            raise ArchiveError(f"{path} holds {actual}, where {MANIFEST} says {stated}")
    if ranges:
        raise ArchiveError(f"{path} holds partitions {sorted(ranges)}, which {MANIFEST} leaves out")


def _find_strangers(folder: Path, manifest: ArchiveManifest) -> Iterator[str]:
    unfinished = read_unfinished(folder) or manifest
    named = {MANIFEST, *(file.name for file in (*manifest.files, *unfinished.files))}
    for path in sorted(folder.iterdir()):
        if path.name not in named and not path.name.endswith(UNFINISHED):
            yield f"{path} is not part of the archive: {MANIFEST} does not name it; move it away"
