"""The request of a replay and its report, both kept as JSON in its database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import orjson

from schemas.messages.latent import Mode
from server_classifier.intake.screening import Refused, Screened
from server_classifier.store.errors import ReplayRefused
from server_classifier.store.latents.selection import Selection
from stream.kafka.offsets import OffsetRange


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is read and which of it is stored; only one request fills a database.

    Attributes:
        window: in words, as ``Window`` states it.
        labels: the declared label space, or None where any label may be learned.
        max_labels: how many labels are stored where none are declared; None: all.
    """

    cluster_id: str
    topic: str
    mode: Mode
    window: str
    selection: Selection
    labels: Sequence[str] | None
    max_labels: int | None = None

    def to_json(self) -> str:
        """Return it for the database."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    def refuse_other(self, stored: str, name: str) -> None:
        """Raise ReplayRefused where the database ``name`` is that of another request."""
        ours, theirs = orjson.loads(self.to_json()), orjson.loads(stored)
        # A request of an older version says less; what it leaves out is no difference.
        if differing := [key for key in ours if ours[key] != theirs.get(key, ours[key])]:
            listed = ", ".join(f"{key}: {theirs.get(key)}, not {ours[key]}" for key in differing)
            raise ReplayRefused(
                f"{name} is that of another replay ({listed}); name a new database for this one"
            )


@dataclass(frozen=True, slots=True)
class Refusals:
    """The number of records refused for one field; partition and offset of the first of them."""

    count: int
    first: tuple[int, int]

    def merge(self, other: "Refusals") -> "Refusals":
        """Return both together."""
        return Refusals(self.count + other.count, min(self.first, other.first))


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of the records of ``ranges`` so far; nothing in it quotes a message.

    Attributes:
        read: how many records were read; the sum of the four below.
        stored: how many latents are new.
        known: how many messages have the messageID of another record.
        filtered: how many messages the selection leaves out.
        refused: by the field at fault, or by ``message`` where no single field is.
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
        return sum(offsets.high - offsets.low for offsets in self.ranges)

    def add(self, batch: Screened, *, selected: int, stored: int) -> "ReplayReport":
        """Return this with one more batch: how many messages were selected, how many were new."""
        admitted = len(batch.admitted)
        return replace(
            self,
            read=self.read + admitted + len(batch.refused),
            stored=self.stored + stored,
            known=self.known + selected - stored,
            filtered=self.filtered + admitted - selected,
            refused=_count(self.refused, batch.refused),
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
        ranges = tuple(OffsetRange(*offsets) for offsets in content.pop("extents"))
        refused = {
            name: Refusals(counted["count"], tuple(counted["first"]))
            for name, counted in content.pop("refused").items()
        }
        return cls(ranges, **content, refused=refused)


def _count(counted: Mapping[str, Refusals], refused: Sequence[Refused]) -> dict[str, Refusals]:
    counts = dict(counted)
    for refusal in refused:
        record, field_at_fault = refusal.record, refusal.error.field or "message"
        # Without the place in a vector, such as value[3]: all of them are counted together.
        name = field_at_fault.partition("[")[0]
        found = Refusals(1, (record.partition, record.offset))
        counts[name] = counts[name].merge(found) if name in counts else found
    return counts
