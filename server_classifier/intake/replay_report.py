"""What a replay was asked for, and what came of it: both kept as JSON in its database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import orjson

from schemas.messages.message import Mode
from server_classifier.intake.screening import Refused
from server_classifier.store.errors import ReplayRefused
from server_classifier.store.latents.selection import Selection
from stream.kafka.offsets import OffsetRange


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is read and which of it is stored; a database is filled by one request only.

    Attributes:
        window: in words, as ``Window`` says it.
        labels: the declared label space, or None where any label may be learned.
    """

    cluster_id: str
    topic: str
    mode: Mode
    window: str
    selection: Selection
    labels: Sequence[str] | None

    def to_json(self) -> str:
        """Return it for the database."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    def refuse_other(self, stored: str, name: str) -> None:
        """Raise ReplayRefused where the database ``name`` is that of another request."""
        ours, theirs = orjson.loads(self.to_json()), orjson.loads(stored)
        if differences := [one for one in ours if ours[one] != theirs.get(one)]:
            told = ", ".join(f"{one}: {theirs.get(one)}, not {ours[one]}" for one in differences)
            raise ReplayRefused(
                f"{name} is that of another replay ({told}); name a new database for this one"
            )


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many records were refused for one field, and partition and offset of the first."""

    count: int
    first: tuple[int, int]

    def merge(self, other: "Refusals") -> "Refusals":
        """Return both together."""
        return Refusals(self.count + other.count, min(self.first, other.first))


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of the records of ``ranges`` so far; nothing in it quotes a message.

    Attributes:
        read: records; the sum of the four below.
        stored: new latents.
        known: messages whose messageID is that of another record.
        filtered: messages that the selection leaves out.
        refused: by the field at fault; ``message`` where it is no single one.
    """

    ranges: tuple[OffsetRange, ...]
    read: int = 0
    stored: int = 0
    known: int = 0
    filtered: int = 0
    refused: Mapping[str, Refusals] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many offsets the ranges hold."""
        return sum(one.high - one.low for one in self.ranges)

    def add(
        self, refused: Sequence[Refused], *, admitted: int, chosen: int, stored: int
    ) -> "ReplayReport":
        """Return this with one more batch, of which so many messages came so far."""
        return replace(
            self,
            read=self.read + admitted + len(refused),
            stored=self.stored + stored,
            known=self.known + chosen - stored,
            filtered=self.filtered + admitted - chosen,
            refused=_count(self.refused, refused),
        )

    def to_json(self) -> str:
        """Return it for the database; ``from_json`` reads it."""
        content = asdict(self)
        content["extents"] = [tuple(offsets) for offsets in content.pop("ranges")]
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` gave."""
        content: dict[str, Any] = orjson.loads(text)
        ranges = tuple(OffsetRange(*one) for one in content.pop("extents"))
        refused = {
            name: Refusals(one["count"], tuple(one["first"]))
            for name, one in content.pop("refused").items()
        }
        return cls(ranges, **content, refused=refused)


def _count(counted: Mapping[str, Refusals], refused: Sequence[Refused]) -> dict[str, Refusals]:
    counts = dict(counted)
    for one in refused:
        # Without the place in a vector, such as value[3]: one line for all of them.
        name = (one.error.field or "message").partition("[")[0]
        found = Refusals(1, (one.record.partition, one.record.offset))
        counts[name] = counts[name].merge(found) if name in counts else found
    return counts
