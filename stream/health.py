"""What a service knows of its own health, and the rules for what is a fault."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

DEPENDENCIES = ("database", "kafka", "kafka-writes")
"""What a service may wait for; ``kafka-writes`` is a cluster that answers but takes no records."""

PATIENCE_SECONDS = 30.0
"""How long a partition or a batch may stand still before the service is not ready."""

LONGEST_SILENCE_SECONDS = 300.0
"""How long one turn of the loop may take: longer than all its timeouts together."""

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for, why, and since which second of the clock."""

    dependency: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition is read, in offsets; None where that is not known yet.

    Attributes:
        position: of the next record to be handled.
        end: behind the last record that can be read.
        end_then: ``end`` as it was first seen after ``position`` last moved.
        grew_at: when more than that was first seen, in seconds of the clock. A lag that only stays
            is no growth: behind the last record there may be marks of transactions.
    """

    position: int | None
    end: int | None = None
    end_then: int | None = None
    grew_at: float | None = None

    @property
    def lag(self) -> int | None:
        """How many offsets there are left to handle; not all of them need be records."""
        if self.position is None or self.end is None:
            return None
        return max(0, self.end - self.position)

    def see_end(self, end: int, now: float) -> "Progress":
        """Return this with the end that is seen now, unless that is negative."""
        if end < 0:
            return self
        if self.end_then is None:
            return replace(self, end=end, end_then=end)
        grown = self.grew_at is None and end > self.end_then
        return replace(self, end=end, grew_at=now if grown else self.grew_at)


@dataclass(frozen=True, slots=True)
class Condition:
    """All that is known of a service at one moment; times in seconds of its clock.

    Attributes:
        heard_at: when the loop last gave a sign of life.
        preparing_since: since when it has not got what it needs to begin; None while it works.
        begun: whether its work has ever begun.
        batch_since: since when the batch in hand is being handled.
        waiting: what the loop waits for.
        cut_off: what the consumer group's connection waits for, whatever the loop does.
        waits: how often each dependency has been waited for.
        blocked: what keeps partitions from being read on, while others are.
    """

    heard_at: float
    preparing_since: float | None
    begun: bool = False
    batch_since: float | None = None
    waiting: Wait | None = None
    cut_off: Wait | None = None
    waits: Mapping[str, int] = field(default_factory=dict)
    progress: Mapping[Partition, Progress] = field(default_factory=dict)
    blocked: Mapping[Partition, Wait] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a service is not well, and for how many seconds already."""

    what: str
    reason: str
    seconds: float


class Health:
    """Notes of the one thread that does a service's work, and what follows from them.

    Args:
        clock: seconds that never go back.

    Attributes:
        condition: all that is known now. It is replaced and never changed, since other threads
            read it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.condition = Condition(heard_at=clock(), preparing_since=clock())

    def find_faults(self) -> list[Fault]:
        """Return why the service is not ready now; nothing where it is. Any thread may ask.

        What is waited for explains everything else, so the rest is only looked at without it.
        """
        condition, now = self.condition, self._clock()
        waits = [wait for wait in (condition.waiting, condition.cut_off) if wait is not None]
        if waits:
            return [Fault(wait.dependency, wait.reason, now - wait.since) for wait in waits]
        if condition.preparing_since is not None:
            seconds = now - condition.preparing_since
            return [Fault("start", "it has not begun its work, or has no partitions yet", seconds)]
        faults = []
        if condition.batch_since is not None and now - condition.batch_since >= PATIENCE_SECONDS:
            seconds = now - condition.batch_since
            faults.append(Fault("batch", "the batch in hand is not finished", seconds))
        for wait in condition.blocked.values():
            faults.append(Fault(wait.dependency, wait.reason, now - wait.since))
        for (topic, number), progress in condition.progress.items():
            if (topic, number) in condition.blocked:
                continue
            if progress.grew_at is not None and now - progress.grew_at >= PATIENCE_SECONDS:
                handled = "nothing of it is handled yet"
                if progress.position is not None:
                    handled = f"stands at offset {progress.position}"
                reason = f"{handled} while its end grew to {progress.end}"
                faults.append(Fault(f"{topic}[{number}]", reason, now - progress.grew_at))
        return faults

    def find_liveness_faults(self) -> list[Fault]:
        """Return that the loop hangs, where it does. Any thread may ask.

        Waiting for a dependency is no hanging. Before the work first begins, a migration may take
        as long as it likes.
        """
        seconds = self._clock() - self.condition.heard_at
        if not self.condition.begun or seconds < LONGEST_SILENCE_SECONDS:
            return []
        return [Fault("loop", "gives no sign of life; start the process again", seconds)]

    def heartbeat(self) -> None:
        """Give a sign of life."""
        self._note(heard_at=self._clock())

    def prepare(self) -> None:
        """Note that there is nothing to work on until ``begin``."""
        since = self.condition.preparing_since
        self._note(
            preparing_since=self._clock() if since is None else since,
            batch_since=None,
            progress={},
            blocked={},
        )

    def begin(self, positions: Mapping[Partition, int | None] | None = None) -> None:
        """Note that the work begins, and the position in each partition."""
        progress = {partition: Progress(at) for partition, at in (positions or {}).items()}
        self._note(progress=progress, preparing_since=None, heard_at=self._clock(), begun=True)

    def wait_for(self, dependency: str, reason: str) -> None:
        """Note that the loop waits, once for each try; this, too, is a sign of life."""
        wait = self._make_wait(self.condition.waiting, dependency, reason)
        self._note(waiting=wait, heard_at=self._clock())

    def mark_recovered(self) -> None:
        """Note that the loop has got what it waited for, or needs not wait."""
        self._note(waiting=None, heard_at=self._clock())

    def lose_kafka(self, reason: str) -> None:
        """Note that the consumer group cannot be reached."""
        self._note(cut_off=self._make_wait(self.condition.cut_off, "kafka", reason))

    def regain_kafka(self) -> None:
        """Note that the consumer group can be reached."""
        self._note(cut_off=None)

    def block(self, partition: Partition, reason: str) -> None:
        """Note that something in a partition keeps what comes behind it from being read."""
        blocked = self.condition.blocked
        before = blocked.get(partition)
        since = self._clock() if before is None else before.since
        wait = Wait(f"{partition[0]}[{partition[1]}]", reason, since)
        self._note(blocked={**blocked, partition: wait})

    def unblock(self, partition: Partition) -> None:
        """Note that a partition is read again."""
        blocked = self.condition.blocked
        self._note(blocked={key: blocked[key] for key in blocked if key != partition})

    def take_batch(self) -> None:
        """Note that a batch is being handled from now on."""
        self._note(batch_since=self._clock())

    def finish_batch(self, positions: Mapping[Partition, int]) -> None:
        """Note that a batch was handled, up to these positions."""
        progress = dict(self.condition.progress)
        for partition, position in positions.items():
            if partition in progress:
                progress[partition] = Progress(position, progress[partition].end)
        self._note(progress=progress, batch_since=None)
        self.mark_recovered()

    def see_ends(self, ends: Mapping[Partition, int]) -> None:
        """Note where partitions end; negative numbers and foreign partitions mean nothing."""
        now = self._clock()
        self._note(
            progress={
                partition: progress.see_end(ends.get(partition, -1), now)
                for partition, progress in self.condition.progress.items()
            }
        )

    def _note(self, **changes: Any) -> None:
        self.condition = replace(self.condition, **changes)

    def _make_wait(self, before: Wait | None, dependency: str, reason: str) -> Wait:
        """Return the wait that goes on, or count a new one."""
        if before is not None and before.dependency == dependency:
            return replace(before, reason=reason)
        waits = self.condition.waits
        self._note(waits={**waits, dependency: waits.get(dependency, 0) + 1})
        return Wait(dependency, reason, self._clock())
