"""Partitions that stand before a batch which cannot be read, while a consumer reads the others.

What librdkafka still delivers of such a partition is dropped, and no more is asked for: behind a
wrong sum it reads on at a wrong place, and may take an offset from there, whence no seeking brings
it back. Now and then the batch is tried again, since another broker may have a good copy. An
operator may also skip it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from stream.errors import DependencyDown, KafkaUnavailable
from stream.health import Health
from stream.kafka.connection import tells_end
from stream.kafka.offsets import OffsetRange
from stream.kafka.unreadable import Obstacle, describe_obstacle, is_stray

FindSkips = Callable[[], Sequence[OffsetRange]]
"""Returns the batches of the topic that an operator has skipped; may raise DependencyDown."""

_ASK_SECONDS = 1.0
_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 10.0


@dataclass(slots=True)
class _Standing:
    """One partition: what keeps it, and when it is tried again, after a pause in seconds."""

    obstacle: Obstacle
    retry_at: float
    pause: float
    tried: bool = False


class Standstill:
    """The partitions of a topic that stand, and how they go on.

    Args:
        read_log_id: returns Kafka's id of the topic, which tells skips of a former topic apart.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        *,
        find_skips: FindSkips,
        read_log_id: Callable[[], str],
        health: Health,
        clock: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._find_skips = find_skips
        self._read_log_id = read_log_id
        self._health = health
        self._clock = clock
        self._standing: dict[int, _Standing] = {}
        self._asked: dict[int, int] = {}  # where partitions went on, of which nothing has come yet
        self._has_stopped = False  # a partition that is still assigned
        self._asked_at = float("-inf")
        self._log = structlog.get_logger().bind(topic=topic)

    def takes(self, partition: int) -> bool:
        """Tell whether a record of a partition is to be handled.

        What comes while a batch is tried again shows that it can be read now.
        """
        if self._is_untried(partition):
            return False
        self._read_on(partition)
        return True

    def drops(self, message: KafkaMessage) -> bool:
        """Tell whether an error or event comes from behind a batch that stands."""
        partition = message.partition() or 0
        if self._is_untried(partition) or is_stray(message, self._asked.get(partition)):
            return True
        if tells_end(message):
            self._read_on(partition)  # the batch is gone
        return False

    def stop(self, partition: int, obstacle: Obstacle) -> None:
        """Take nothing of a partition from this offset on."""
        position = self._find_position(partition)
        obstacle = obstacle._replace(offset=max(obstacle.offset, position))
        reason = describe_obstacle(self._topic, partition, obstacle)
        before, pause = self._standing.get(partition), _FIRST_RETRY_SECONDS
        if before is not None and before.obstacle.offset == obstacle.offset:
            pause = min(2 * before.pause, _LAST_RETRY_SECONDS)
        else:
            self._log.error("a batch cannot be read", partition=partition, error=reason)
        self._standing[partition] = _Standing(obstacle, self._clock() + pause, pause)
        self._has_stopped = True
        self._health.block((self._topic, partition), reason)

    def go_on(self) -> dict[int, int]:
        """Read on where an operator has skipped a batch, and try again where it is time.

        To be called when all that was taken is handled.

        Returns:
            The offsets at which partitions go on behind a skipped batch, by number.
        """
        if not self._standing:
            return {}
        passed = self._find_passed()
        for number, offset in passed.items():
            self._log.warning("a batch was skipped", partition=number, next_offset=offset)
            self._let_go(number)
        due = [standing for standing in self._standing.values() if self._is_due(standing)]
        for standing in due:
            standing.tried = True
        if passed or due or self._has_stopped:
            self._assign(passed)
        return passed

    def forget(self) -> list[int]:
        """Forget and return the partitions that stand: they were given back, or begin anew."""
        forgotten, self._standing, self._asked = [*self._standing], {}, {}
        return forgotten

    def _is_untried(self, partition: int) -> bool:
        standing = self._standing.get(partition)
        return standing is not None and not standing.tried

    def _read_on(self, partition: int) -> None:
        self._asked.pop(partition, None)
        if partition in self._standing:
            self._let_go(partition)

    def _is_due(self, standing: _Standing) -> bool:
        return not standing.tried and self._clock() >= standing.retry_at

    def _assign(self, passed: Mapping[int, int]) -> None:
        """Read all partitions but those that stand and are not tried now.

        librdkafka permits no smaller change to a member of a group whose protocol is eager.
        """
        self._has_stopped = False
        assigned = (partition.partition for partition in self._consumer.assignment())
        starts = {number: self._find_position(number) for number in assigned}
        starts |= {number: held.obstacle.offset for number, held in self._standing.items()}
        standing = {number for number, held in self._standing.items() if not held.tried}
        self._asked |= passed
        self._asked |= {
            number: held.obstacle.offset for number, held in self._standing.items() if held.tried
        }
        self._consumer.assign(
            [
                TopicPartition(self._topic, number, offset)
                for number, offset in {**starts, **passed}.items()
                if number not in standing
            ]
        )

    def _find_position(self, partition: int) -> int:
        """Return the offset below which everything was handled, if that is known."""
        progress = self._health.condition.progress.get((self._topic, partition))
        if progress is None or progress.position is None:
            return OFFSET_INVALID  # from the offset that the group has committed
        return progress.position

    def _find_passed(self) -> dict[int, int]:
        """Return where partitions go on that stand in a skipped batch, by number."""
        if self._clock() - self._asked_at < _ASK_SECONDS:
            return {}
        self._asked_at = self._clock()
        try:
            skips = [skip for skip in self._find_skips() if self._stands_in(skip)]
            log_id = self._read_log_id() if skips else ""
        except (DependencyDown, KafkaUnavailable) as error:
            self._log.error("cannot tell what was skipped", error=str(error))
            return {}
        return {skip.partition: skip.high for skip in skips if skip.log_id == log_id}

    def _stands_in(self, skip: OffsetRange) -> bool:
        standing = self._standing.get(skip.partition)
        return standing is not None and skip.low <= standing.obstacle.offset < skip.high

    def _let_go(self, partition: int) -> None:
        del self._standing[partition]
        self._health.unblock((self._topic, partition))
