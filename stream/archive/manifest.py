"""The manifest of an archive: which topic it holds, and the sum and offset ranges of every file.

In its JSON, files are called ``parts`` and their ranges ``stretches``.

* ArchiveError
"""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from stream.errors import StreamError
from stream.kafka.offsets import OffsetRange

FORMAT: Final = "ioa-archive/1"
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
"""Ends the name of a file that an interrupted run leaves behind; nothing of it counts."""

_STRICT = ConfigDict(extra="forbid", strict=True, validate_by_name=True)

Count = Annotated[int, Field(ge=0)]
Sum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^part-[0-9]{6,9}\.parquet$")]


class ArchiveError(StreamError):
    """An archive is damaged, incomplete, or not of what is to be added to it."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class ArchivedRange:
    """An ``OffsetRange`` as the manifest writes it, which names its topic only once."""

    partition: Count
    low: Count
    high: Count


@dataclass(frozen=True, slots=True, config=_STRICT)
class FileRange(ArchivedRange):
    """What a file holds of a partition.

    There may be fewer records than offsets: Kafka's own, at the end of a transaction, are not kept.
    ``earliest`` and ``latest`` are the broker's times of the records, in milliseconds since the
    Unix epoch; None where there are no records.
    """

    records: Count
    earliest: int | None
    latest: int | None


@dataclass(frozen=True, slots=True, config=_STRICT)
class ArchiveFile:
    """One Parquet file; ``size`` is in bytes."""

    name: FileName
    sha256: Sum
    size: Count
    records: Count
    ranges: Annotated[tuple[FileRange, ...], Field(alias="stretches")]


@dataclass(frozen=True, slots=True, config=_STRICT)
class ArchiveManifest:
    """An archive of one topic.

    Attributes:
        log_id: Kafka's id of the topic (KIP-516), as in ``OffsetRange``.
        files: in the order in which they were written.
        gaps: what was deleted from Kafka before it was archived.
        registry: the encoders and clients that were registered, for whoever replays.
        since: the time at which the archive was told to begin, if it was one.
        skipped: what nobody could read, and an operator has skipped; it lies in the files' ranges.
    """

    cluster_id: str
    topic: str
    log_id: str
    created_at: datetime
    extended_at: datetime
    files: Annotated[tuple[ArchiveFile, ...], Field(alias="parts")]
    gaps: tuple[ArchivedRange, ...]
    registry: dict[str, Any]
    since: datetime | None = None
    skipped: tuple[ArchivedRange, ...] = ()
    format: Literal["ioa-archive/1"] = FORMAT

    @classmethod
    def from_json(cls, text: bytes) -> "ArchiveManifest":
        """Read a manifest strictly.

        Raises:
            ArchiveError: it is cut off, changed, of another version, or its offsets do not join.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ArchiveError(f"it is cut off or no JSON ({error})") from error
        if not isinstance(document, dict):
            raise ArchiveError("it is no JSON object")
        if (version := document.get("format")) != FORMAT:
            raise ArchiveError(f"its format is {version!r}, and this program reads {FORMAT!r}")
        stated = document.pop("sha256", None)
        plain = _to_canonical(document)
        if stated != (actual := hashlib.sha256(plain).hexdigest()):
            raise ArchiveError(f"it was changed: its content has sha256 {actual}, not {stated}")
        try:
            manifest = _ADAPTER.validate_json(plain, by_name=False, by_alias=True)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ArchiveError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
        _ = manifest.ranges  # raises where they do not join
        return manifest

    def to_json(self) -> bytes:
        """Return it for people to read, with the sum of its content."""
        document = json.loads(_ADAPTER.dump_json(self, by_alias=True))
        total = hashlib.sha256(_to_canonical(document)).hexdigest()
        return json.dumps(document | {"sha256": total}, indent=1, sort_keys=True).encode()

    @property
    def records(self) -> int:
        """How many records there are in all files."""
        return sum(file.records for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def ranges(self) -> list[OffsetRange]:
        """What is held of each partition, by number; gaps lie within.

        Raises:
            ArchiveError: a file does not begin where the one before it, or a gap, ends, or its
                numbers of records differ.
        """
        gaps = {(gap.partition, gap.low): gap.high for gap in self.gaps}
        joined: dict[int, OffsetRange] = {}
        for file in self.files:
            if file.records != (records := sum(added.records for added in file.ranges)):
                raise ArchiveError(f"{file.name} has {file.records:,} records, or {records:,}")
            for added in file.ranges:
                partition = added.partition
                first = OffsetRange(self.topic, partition, self.log_id, added.low, added.low)
                before = joined.get(partition, first)
                end = gaps.get((partition, before.high), before.high)
                if not end == added.low <= added.high:
                    raise ArchiveError(
                        f"{file.name} has offsets {added.low:,} to {added.high:,} of partition "
                        f"{partition}, and the parts before it end at {end:,}"
                    )
                joined[partition] = before._replace(high=added.high)
        return [joined[partition] for partition in sorted(joined)]


_ADAPTER = TypeAdapter(ArchiveManifest)


def read_manifest(folder: Path) -> ArchiveManifest:
    """Read the manifest of an archive.

    Raises:
        ArchiveError: names the file and what is wrong with it.
    """
    path = folder / MANIFEST
    try:
        return ArchiveManifest.from_json(path.read_bytes())
    except OSError as error:
        raise ArchiveError(
            f"{folder} is not an archive: {MANIFEST} cannot be read ({error.strerror}); name a "
            "folder written by `ioa archive write`"
        ) from error
    except ArchiveError as error:
        raise ArchiveError(
            f"{path} cannot be used: {error}; restore this file or the archive from a copy"
        ) from error


def read_unfinished(folder: Path) -> ArchiveManifest | None:
    """Return the manifest that a run wrote before it was interrupted; None where it has not."""
    try:
        return ArchiveManifest.from_json((folder / f"{MANIFEST}{UNFINISHED}").read_bytes())
    except (FileNotFoundError, ArchiveError):
        return None


def _to_canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
