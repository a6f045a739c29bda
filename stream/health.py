"""What a service knows of its own health, and the rules that make a verdict of it.

The thread that does the service's work notes what it does. Any other thread may read
``Health.condition`` at any time: it is replaced and never changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

DEPENDENCIES = ("database", "kafka", "kafka-writes")
"""What a service may wait for; ``kafka-writes`` is a cluster that is there but takes nothing."""

PATIENCE_SECONDS = 30.0
"""How long a partition or a batch may stand still before the service is not ready."""

LONGEST_TURN_SECONDS = 300.0
"""How long one turn of the loop may take: more than all its timeouts after each other."""

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Wait:
    """A dependency that is away, why, and since which second of the clock."""

    dependency: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition is read, in offsets; None where that is not known yet.

    Attributes:
        position: of the next record to be handled.
        end: behind the last record that can be read.
        moved_at: when ``position`` last moved, in seconds of the clock.
        end_then: ``end`` as it was first seen after that.
    """

    position: int | None
    moved_at: float
    end: int | None = None
    end_then: int | None = None

    @property
    def lag(self) -> int | None:
        """How many offsets there are left to handle; not all of them need be records."""
        if self.position is None or self.end is None:
            return None
        return max(0, self.end - self.position)

    @property
    def grows(self) -> bool:
        """Whether records have come since the position last moved.

        A lag that only stays is none: behind the last record there may be marks of transactions.
        """
        return self.end is not None and self.end_then is not None and self.end > self.end_then


@dataclass(frozen=True, slots=True)
class Condition:
    """All that is known of a service at one moment; times in seconds of its clock.

    Attributes:
        turned_at: when the loop last gave a sign of life.
        preparing_since: since when it has not got what it needs to begin; None while it works.
        batch_since: since when the batch in hand is being handled.
        waiting: what the loop waits for.
        cut_off: what the consumer group's connection waits for, whatever the loop does.
        waits: how often each dependency has been waited for.
    """

    turned_at: float
    preparing_since: float | None
    batch_since: float | None = None
    waiting: Wait | None = None
    cut_off: Wait | None = None
    waits: Mapping[str, int] = field(default_factory=dict)
    progress: Mapping[Partition, Progress] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a service is not well, and for how many seconds already."""

    what: str
    reason: str
    seconds: float


class Health:
    """Takes notes of the one thread that does a service's work.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.condition = Condition(turned_at=clock(), preparing_since=clock())

    def find_faults(self) -> list[Fault]:
        """Return why the service is not ready now."""
        return find_faults(self.condition, self._clock())

    def find_standstill(self) -> list[Fault]:
        """Return why the service is not alive now."""
        return find_standstill(self.condition, self._clock())

    def turn(self) -> None:
        """Give a sign of life, as every other note does."""
        self._note()

    def prepare(self) -> None:
        """Note that there is nothing to work on until ``begin``."""
        since = self.condition.preparing_since
        since = self._clock() if since is None else since
        self._note(preparing_since=since, batch_since=None, progress={})

    def begin(self, positions: Mapping[Partition, int | None] | None = None) -> None:
        """Note that the work begins, and where reading goes on."""
        now = self._clock()
        progress = {one: Progress(position, now) for one, position in (positions or {}).items()}
        self._note(preparing_since=None, progress=progress)

    def wait_for(self, dependency: str, reason: str) -> None:
        """Note that the loop waits, once for each try."""
        self._note_wait("waiting", dependency, reason)

    def go_on(self) -> None:
        """Note that the loop has got what it waited for."""
        self._note(waiting=None)

    def lose_kafka(self, reason: str) -> None:
        """Note that the consumer group cannot be reached."""
        self._note_wait("cut_off", "kafka", reason)

    def regain_kafka(self) -> None:
        """Note that the consumer group can be reached."""
        self._note(cut_off=None)

    def take_batch(self) -> None:
        """Note that a batch is being handled from now on."""
        self._note(batch_since=self._clock())

    def finish_batch(self, positions: Mapping[Partition, int]) -> None:
        """Note that a batch was handled, up to these positions."""
        now = self._clock()
        ends = {one: known.end for one, known in self.condition.progress.items()}
        moved = {one: Progress(positions[one], now, ends[one]) for one in positions if one in ends}
        progress = {**self.condition.progress, **moved}
        self._note(batch_since=None, waiting=None, progress=progress)

    def see_ends(self, ends: Mapping[Partition, int]) -> None:
        """Note where partitions end; negative numbers and foreign partitions mean nothing."""
        known = self.condition.progress
        self._note(progress={one: _see_end(known[one], ends.get(one, -1)) for one in known})

    def _note_wait(self, place: str, dependency: str, reason: str) -> None:
        before: Wait | None = getattr(self.condition, place)
        waits = self.condition.waits
        if before is not None and before.dependency == dependency:
            since = before.since
        else:
            since = self._clock()
            waits = {**waits, dependency: waits.get(dependency, 0) + 1}
        self._note(**{place: Wait(dependency, reason, since)}, waits=waits)

    def _note(self, **changes: Any) -> None:
        self.condition = replace(self.condition, turned_at=self._clock(), **changes)


def _see_end(known: Progress, end: int) -> Progress:
    if end < 0:
        return known
    end_then = end if known.end_then is None else known.end_then
    return replace(known, end=end, end_then=end_then)


def find_faults(condition: Condition, now: float) -> list[Fault]:
    """Return what keeps a service from its work; nothing where it is ready.

    What is waited for explains everything else, so the rest is only looked at without it.
    """
    waits = [wait for wait in (condition.waiting, condition.cut_off) if wait is not None]
    if waits:
        return [Fault(wait.dependency, wait.reason, now - wait.since) for wait in waits]
    if condition.preparing_since is not None:
        seconds = now - condition.preparing_since
        return [Fault("start", "it has not begun its work, or has no partitions yet", seconds)]
    faults = [] if condition.batch_since is None else _find_slow_batch(now - condition.batch_since)
    for (topic, part), progress in condition.progress.items():
        still = now - progress.moved_at
        if progress.grows and still >= PATIENCE_SECONDS:
            reason = f"stands at offset {progress.position} while its end grew to {progress.end}"
            faults.append(Fault(f"{topic}[{part}]", reason, still))
    return faults


def _find_slow_batch(seconds: float) -> list[Fault]:
    if seconds < PATIENCE_SECONDS:
        return []
    return [Fault("batch", "the batch in hand is not finished", seconds)]


def find_standstill(condition: Condition, now: float) -> list[Fault]:
    """Return that the loop hangs, where it does; waiting for a dependency is no hanging."""
    seconds = now - condition.turned_at
    if seconds < LONGEST_TURN_SECONDS:
        return []
    return [Fault("loop", "gives no sign of life; start the process again", seconds)]
