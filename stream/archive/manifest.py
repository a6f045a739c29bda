"""The manifest of an archive: which topic it holds, and the sum and the offsets of every part file.

* ArchiveError
"""

import hashlib
import json
import os
from collections.abc import Mapping
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

_STRICT = ConfigDict(extra="forbid", strict=True)

Count = Annotated[int, Field(ge=0)]
Sum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PartName = Annotated[str, Field(pattern=r"^part-[0-9]{6,9}\.parquet$")]


class ArchiveError(StreamError):
    """An archive is damaged, incomplete, or not of what is to be added to it."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Stretch:
    """What a part file holds of a partition: offsets from ``low`` up to, but not with, ``high``.

    There may be fewer records than offsets: Kafka's own, at the end of a transaction, are not kept.
    ``earliest`` and ``latest`` are the broker's times of the records, in milliseconds since the
    Unix epoch; None where there are no records.
    """

    partition: Count
    low: Count
    high: Count
    records: Count
    earliest: int | None
    latest: int | None


@dataclass(frozen=True, slots=True, config=_STRICT)
class Gap:
    """Offsets that were deleted from Kafka before they were archived."""

    partition: Count
    low: Count
    high: Count


@dataclass(frozen=True, slots=True, config=_STRICT)
class Part:
    """One Parquet file; ``size`` is in bytes."""

    name: PartName
    sha256: Sum
    size: Count
    records: Count
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True, config=_STRICT)
class ArchiveManifest:
    """An archive of one topic.

    Attributes:
        log_id: Kafka's id of the topic (KIP-516), as in ``OffsetRange``.
        parts: in the order in which they were written.
        registry: the encoders and clients that were registered, for whoever replays.
        since: the time at which the archive was told to begin, if it was one.
    """

    cluster_id: str
    topic: str
    log_id: str
    created_at: datetime
    extended_at: datetime
    parts: tuple[Part, ...]
    gaps: tuple[Gap, ...]
    registry: dict[str, Any]
    since: datetime | None = None
    format: Literal["ioa-archive/1"] = FORMAT

    @classmethod
    def from_json(cls, text: bytes) -> "ArchiveManifest":
        """Read a manifest strictly.

        Raises:
            ArchiveError: it is cut off, changed, of another version, or its offsets do not join.
        """
        document = _parse(text)
        if (found := document.get("format")) != FORMAT:
            raise ArchiveError(f"its format is {found!r}, and this program reads {FORMAT!r}")
        stated = document.pop("sha256", None)
        plain = _to_canonical(document)
        if stated != (actual := hashlib.sha256(plain).hexdigest()):
            raise ArchiveError(f"it was changed: its content has sha256 {actual}, not {stated}")
        try:
            manifest = _ADAPTER.validate_json(plain)
        except ValidationError as error:
            fault = error.errors()[0]
            raise ArchiveError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
        manifest.join_stretches()
        return manifest

    def to_json(self) -> bytes:
        """Return it for people to read, with the sum of its content."""
        document = json.loads(_ADAPTER.dump_json(self))
        total = hashlib.sha256(_to_canonical(document)).hexdigest()
        return json.dumps(document | {"sha256": total}, indent=1, sort_keys=True).encode()

    @property
    def records(self) -> int:
        """How many records there are in all parts."""
        return sum(part.records for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def ranges(self) -> list[OffsetRange]:
        """What is held of each partition, by number; gaps lie within."""
        return [
            OffsetRange(self.topic, partition, self.log_id, low, high)
            for partition, (low, high) in sorted(self.join_stretches().items())
        ]

    def join_stretches(self) -> Mapping[int, tuple[int, int]]:
        """Return the first offset of each partition, and the one behind its last.

        Raises:
            ArchiveError: a part does not begin where the one before it, or a gap, ends, or its
                numbers of records differ.
        """
        gaps = {(gap.partition, gap.low): gap.high for gap in self.gaps}
        ends: dict[int, tuple[int, int]] = {}
        for part in self.parts:
            if part.records != (records := sum(one.records for one in part.stretches)):
                raise ArchiveError(f"{part.name} has {part.records:,} records, or {records:,}")
            for one in part.stretches:
                low, end = ends.get(one.partition, (one.low, one.low))
                end = gaps.get((one.partition, end), end)
                if not end == one.low <= one.high:
                    raise ArchiveError(
                        f"{part.name} has offsets {one.low:,} to {one.high:,} of partition "
                        f"{one.partition}, and the parts before it end at {end:,}"
                    )
                ends[one.partition] = low, one.high
        return ends


_ADAPTER = TypeAdapter(ArchiveManifest)


def read_manifest(folder: Path) -> ArchiveManifest:
    """Read the manifest of an archive.

    Raises:
        ArchiveError: names the file and what is wrong with it.
    """
    file = folder / MANIFEST
    try:
        return ArchiveManifest.from_json(file.read_bytes())
    except OSError as error:
        raise ArchiveError(
            f"{folder} is not an archive: {MANIFEST} cannot be read ({error.strerror}); name a "
            "folder written by `ioa archive write`"
        ) from error
    except ArchiveError as error:
        raise ArchiveError(
            f"{file} cannot be used: {error}; restore this file or the archive from a copy"
        ) from error


def read_unfinished(folder: Path) -> ArchiveManifest | None:
    """Return the manifest that a run wrote before it was interrupted; None where it has not."""
    try:
        return ArchiveManifest.from_json((folder / f"{MANIFEST}{UNFINISHED}").read_bytes())
    except (FileNotFoundError, ArchiveError):
        return None


def write_file(file: Path, content: bytes | memoryview) -> None:
    """Write a file that its owner alone may read, and wait for the disk.

    Raises:
        OSError: it cannot be written; what was is left behind.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ArchiveError(f"it is cut off or no JSON ({error})") from error
    if not isinstance(document, dict):
        raise ArchiveError("it is no JSON object")
    return document


def _to_canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
