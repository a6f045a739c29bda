"""What a service knows of its own health, and the rules that make a verdict of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

DEPENDENCIES = ("database", "kafka", "kafka-writes")
"""What a service may wait for; ``kafka-writes`` is a cluster that is there but takes nothing."""

PATIENCE_SECONDS = 30.0
"""How long a partition or a batch may stand still before the service is not ready."""

LONGEST_SILENCE_SECONDS = 300.0
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
    """

    heard_at: float
    preparing_since: float | None
    begun: bool = False
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
        self._heard_at = clock()
        self._preparing_since: float | None = clock()
        self._begun = False
        self._batch_since: float | None = None
        self._waiting: Wait | None = None
        self._cut_off: Wait | None = None
        # These two are replaced and never changed, because others read them meanwhile.
        self._waits: Mapping[str, int] = {}
        self._progress: Mapping[Partition, Progress] = {}

    @property
    def condition(self) -> Condition:
        """All that is known now; any thread may ask."""
        return Condition(
            self._heard_at,
            self._preparing_since,
            self._begun,
            self._batch_since,
            self._waiting,
            self._cut_off,
            self._waits,
            self._progress,
        )

    def find_faults(self) -> list[Fault]:
        """Return why the service is not ready now; any thread may ask."""
        return find_faults(self.condition, self._clock())

    def find_liveness_faults(self) -> list[Fault]:
        """Return why the service is not alive now; any thread may ask."""
        return find_liveness_faults(self.condition, self._clock())

    def heartbeat(self) -> None:
        """Give a sign of life."""
        self._heard_at = self._clock()

    def prepare(self) -> None:
        """Note that there is nothing to work on until ``begin``."""
        if self._preparing_since is None:
            self._preparing_since = self._clock()
        self._batch_since = None
        self._progress = {}

    def begin(self, positions: Mapping[Partition, int | None] | None = None) -> None:
        """Note that the work begins, and where reading goes on."""
        self._progress = {one: Progress(at) for one, at in (positions or {}).items()}
        self._preparing_since = None
        self.heartbeat()
        self._begun = True

    def wait_for(self, dependency: str, reason: str) -> None:
        """Note that the loop waits, once for each try; this, too, is a sign of life."""
        self._waiting = self._make_wait(self._waiting, dependency, reason)
        self.heartbeat()

    def mark_recovered(self) -> None:
        """Note that the loop has got what it waited for, or needs not wait."""
        self._waiting = None
        self.heartbeat()

    def lose_kafka(self, reason: str) -> None:
        """Note that the consumer group cannot be reached."""
        self._cut_off = self._make_wait(self._cut_off, "kafka", reason)

    def regain_kafka(self) -> None:
        """Note that the consumer group can be reached."""
        self._cut_off = None

    def take_batch(self) -> None:
        """Note that a batch is being handled from now on."""
        self._batch_since = self._clock()

    def finish_batch(self, positions: Mapping[Partition, int]) -> None:
        """Note that a batch was handled, up to these positions."""
        known = self._progress
        moved = {one: Progress(at, known[one].end) for one, at in positions.items() if one in known}
        self._progress = {**known, **moved}
        self._batch_since = None
        self.mark_recovered()

    def see_ends(self, ends: Mapping[Partition, int]) -> None:
        """Note where partitions end; negative numbers and foreign partitions mean nothing."""
        now, known = self._clock(), self._progress
        self._progress = {one: _see_end(known[one], ends.get(one, -1), now) for one in known}

    def _make_wait(self, before: Wait | None, dependency: str, reason: str) -> Wait:
        if before is not None and before.dependency == dependency:
            return Wait(dependency, reason, before.since)
        self._waits = {**self._waits, dependency: self._waits.get(dependency, 0) + 1}
        return Wait(dependency, reason, self._clock())


def _see_end(known: Progress, end: int, now: float) -> Progress:
    if end < 0:
        return known
    if known.end_then is None:
        return replace(known, end=end, end_then=end)
    grown = known.grew_at is None and end > known.end_then
    return replace(known, end=end, grew_at=now if grown else known.grew_at)


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
    for (topic, part), known in condition.progress.items():
        if known.grew_at is not None and now - known.grew_at >= PATIENCE_SECONDS:
            reason = f"{_describe_place(known)} while its end grew to {known.end}"
            faults.append(Fault(f"{topic}[{part}]", reason, now - known.grew_at))
    return faults


def _describe_place(known: Progress) -> str:
    if known.position is None:
        return "nothing of it is handled yet"
    return f"stands at offset {known.position}"


def _find_slow_batch(seconds: float) -> list[Fault]:
    if seconds < PATIENCE_SECONDS:
        return []
    return [Fault("batch", "the batch in hand is not finished", seconds)]


def find_liveness_faults(condition: Condition, now: float) -> list[Fault]:
    """Return that the loop hangs, where it does; waiting for a dependency is no hanging.

    Before the work first begins, a migration may take as long as it likes.
    """
    seconds = now - condition.heard_at
    if not condition.begun or seconds < LONGEST_SILENCE_SECONDS:
        return []
    return [Fault("loop", "gives no sign of life; start the process again", seconds)]
