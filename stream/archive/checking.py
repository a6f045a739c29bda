"""Looking for damage in an archive: every file against the manifest, and the manifest itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stream.archive.files import survey_part
from stream.archive.manifest import (
    MANIFEST,
    UNFINISHED,
    ArchiveError,
    ArchiveManifest,
    Part,
    read_manifest,
    read_unfinished,
)
from stream.artefacts.encoder_files import sha256_of

OnProgress = Callable[[int, int], None]
"""Takes how many records are checked and how many there are."""


@dataclass(slots=True)
class Report:
    """What was found; ``manifest`` is None where it cannot be read."""

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
    for part in manifest.parts:
        try:
            check_part(folder, part)
            _check_content(folder, part)
        except ArchiveError as error:
            report.findings.append(str(error))
        done += part.records
        on_progress(done, manifest.records)
    report.findings += _find_strangers(folder, manifest)
    return report


def check_part(folder: Path, part: Part) -> None:
    """Compare a part file with its sum.

    Raises:
        ArchiveError: it is missing, or not what was written; the text names the file.
    """
    file = folder / part.name
    held = f"the {part.records:,} records in it"
    try:
        size, found = file.stat().st_size, sha256_of(file)
    except FileNotFoundError as error:
        raise ArchiveError(f"{file} is missing, and {held}: restore it from a copy") from error
    except OSError as error:
        raise ArchiveError(f"{file} cannot be read ({error.strerror})") from error
    if size != part.size:
        raise ArchiveError(
            f"{file} has {size:,} bytes, not {part.size:,}; {held} cannot be trusted: restore it "
            "from a copy"
        )
    if found != part.sha256:
        raise ArchiveError(
            f"{file} was changed: its sha256 is {found}, not {part.sha256}; {held} cannot be "
            "trusted: restore it from a copy"
        )


def _check_content(folder: Path, part: Part) -> None:
    """Compare counts, offsets and times, which the sum does not say to be right."""
    file = folder / part.name
    try:
        held = survey_part(file)
    except (ArchiveError, pa.ArrowException) as error:
        raise ArchiveError(f"{file}: {error}") from error
    for one in part.stretches:
        found = held.pop(one.partition, None)
        if found is None and one.records == 0:
            continue
        if found is None or not (
            (found.records, found.earliest, found.latest) == (one.records, one.earliest, one.latest)
            and one.low <= found.low
            and found.high <= one.high
        ):
            raise ArchiveError(f"{file} holds {found}, where {MANIFEST} says {one}")
    if held:
        raise ArchiveError(f"{file} holds partitions {sorted(held)}, which {MANIFEST} leaves out")


def _find_strangers(folder: Path, manifest: ArchiveManifest) -> Iterator[str]:
    unfinished = read_unfinished(folder) or manifest
    known = {MANIFEST, *(part.name for part in (*manifest.parts, *unfinished.parts))}
    for file in sorted(folder.iterdir()):
        if file.name not in known and not file.name.endswith(UNFINISHED):
            yield f"{file} is not part of the archive: {MANIFEST} does not name it; move it away"
