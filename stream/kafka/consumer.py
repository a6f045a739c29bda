"""The one consumer loop of every service. What happens to a batch, in this order:

1. Its records are polled.
2. The handler's effects: dead letters delivered, rows committed, answers delivered.
3. Its offsets are committed to Kafka: at least every half second, before partitions are revoked,
   and at the end. Nobody waits for the answer.

A crash between 2 and 3 repeats records, and handlers make repetition harmless.

A handler that keeps positions of its own, in the transaction of what it writes, says where each
partition starts (``find_starts``). Kafka's offsets then only show others how far it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import Any

import orjson
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from stream.errors import DependencyDown, KafkaRefused, KafkaUnavailable, PartitionLost
from stream.health import Health, Partition
from stream.kafka.connection import ErrorWatch, backoff, explaining_kafka, tells_end
from stream.kafka.offsets import OffsetRange, TopicWatch, read_log_id, read_ranges
from stream.kafka.polling import FETCHING, poll_batch
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.standstill import FindSkips, Standstill
from stream.kafka.unreadable import find_obstacle

Handle = Callable[[Sequence[Record]], None]
FindStarts = Callable[
    [Sequence[OffsetRange], Callable[[], Sequence[OffsetRange]]], Mapping[int, int]
]
"""Takes the ranges that Kafka holds of partitions, and a function that reads these again; returns
the offset at which each partition starts, by number.
"""

_POLL_SECONDS = 0.1
_COMMIT_SECONDS = 0.5
_CLOSE_SECONDS = 5.0  # then a cluster that does not answer is left without leaving the group
_REQUEST_SECONDS = 10.0
_LOST_SECONDS = 1.0  # in which the group tells a process that was away who reads what now


class RecordConsumer:
    """A member of a consumer group that hands batches of records to a handler.

    Static membership (KIP-345): a process that was killed takes its partitions back at once
    instead of waiting for the session to expire. So ``instance`` must differ between the
    processes of one group.

    Args:
        find_starts: called whenever partitions are assigned, and again after ``PartitionLost``.
            Without it, reading goes on at the group's offsets in Kafka, or at the earliest record
            where it has none that Kafka still holds.
        find_skips: asked about once a second while a batch cannot be read.
        health: receives the loop's progress; optional.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        topic: str,
        group: str,
        instance: str,
        batch_size: int,
        find_starts: FindStarts | None = None,
        find_skips: FindSkips = lambda: (),
        health: Health | None = None,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._batch_size = batch_size
        self._find_starts = find_starts or self._find_committed
        self._health = health or Health(monotonic)
        self._admin: AdminClient | None = None
        self._without_start: list[int] = []  # partitions that are assigned, but not read yet
        self._topic_watch: TopicWatch | None = None
        self._log = structlog.get_logger().bind(topic=topic, group=group)
        self._watch = ErrorWatch(
            settings.bootstrap_servers,
            report=lambda reason: self._log.warning("Kafka is in trouble", error=reason),
        )
        self._uncommitted: dict[Partition, int] = {}
        self._batch_partitions: set[Partition] = set()  # as far as they are still ours
        self._committed_at = 0.0
        config: dict[str, Any] = {
            "group.id": group,
            "group.instance.id": f"{group}-{instance}",
            "enable.auto.commit": False,
            # A position that Kafka does not hold is never replaced by a guess: that would skip.
            "auto.offset.reset": "error",
            "session.timeout.ms": 6000,
            "queued.min.messages": 5_000,  # prefetched of each partition
            "isolation.level": "read_committed",
            "enable.partition.eof": True,  # tells that a batch which is tried again is gone
            "error_cb": self._watch,
            "on_commit": self._on_commit,
            "statistics.interval.ms": 1000,
            "stats_cb": self._on_statistics,
        }
        self._consumer = Consumer({**FETCHING, **config, **settings.consumer_config()})
        self._standstill = Standstill(
            self._consumer,
            topic,
            find_skips=find_skips,
            read_log_id=lambda: read_log_id(self._connect_admin(), topic),
            health=self._health,
            clock=monotonic,
        )

    def run(
        self, handle: Handle, stop: Event, *, each_turn: Callable[[], None] = lambda: None
    ) -> None:
        """Consume until ``stop`` is set, then commit and leave.

        Args:
            handle: takes a batch. After DependencyDown it is called again with the same list;
                after PartitionLost the batch is dropped.
            stop: ends the loop after the batch in hand.
            each_turn: called after each batch, and about ten times a second while no records
                come; after PartitionLost the starts are found again.

        Raises:
            KafkaRefused: the broker refuses us for good.
            StreamError: the group fences this process, or the topic is gone.
        """
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        try:
            while not stop.is_set():
                self._health.heartbeat()
                if self._without_start:
                    self._start_partitions(stop)
                else:
                    self._take_turn(handle, stop, each_turn)
                if self._topic_watch is not None and self._topic_watch.was_recreated():
                    self._restart_partitions()
                if self._uncommitted and monotonic() - self._committed_at > _COMMIT_SECONDS:
                    self._commit()
            self._commit()
        finally:
            self._close()

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [partition.partition for partition in partitions]
        self._log.info("partitions assigned", partitions=numbers)
        if numbers:
            # Finding the starts may take long, and must not hold the group up: start later.
            self._hold_back(numbers)
        else:
            self._health.begin()

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit what was handled, so that whoever reads these partitions next goes on there.

        librdkafka gives the partitions back when this commit is answered.
        """
        self._commit()
        self._forget(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit nothing: another member may be further already."""
        self._forget(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._uncommitted.pop((partition.topic, partition.partition), None)
            self._batch_partitions.discard((partition.topic, partition.partition))
        self._without_start = []
        self._standstill.forget()
        self._health.prepare()

    def _on_statistics(self, text: str) -> None:
        """Note whether the group is reached and where partitions end, once a second.

        librdkafka knows it without asking; its errors never say that all is well again.
        """
        statistics = orjson.loads(text)
        if statistics["cgrp"]["state"] == "up":
            self._health.regain_kafka()
        else:
            self._health.lose_kafka(
                f"the consumer group's coordinator at {self._settings.bootstrap_servers} "
                f"cannot be reached ({self._watch.last or 'no answer yet'})"
            )
        known = statistics["topics"].get(self._topic, {}).get("partitions", {})
        # Up to the last stable offset: an open transaction of somebody else cannot be read.
        ends = {(self._topic, int(number)): held["ls_offset"] for number, held in known.items()}
        self._health.see_ends(ends)

    def _hold_back(self, partitions: list[int]) -> None:
        """Keep the partitions, as a member of the group, but read nothing of them yet."""
        self._without_start = partitions
        self._consumer.assign([])
        self._health.prepare()

    def _start_partitions(self, stop: Event) -> None:
        """Read the assigned partitions from where ``find_starts`` says."""
        for delay in backoff():
            if stop.is_set() or not self._without_start:
                return
            try:
                starts = self._read_starts(self._without_start)
            except KafkaRefused:
                raise
            except (DependencyDown, KafkaUnavailable) as error:
                self._log.error("waiting for positions", error=str(error), seconds=delay)
                self._health.wait_for(error.dependency, str(error))
                self._admin = None  # the next try connects anew
                self._wait(delay, stop)
                continue
            self._log.info("reading begins", offsets=starts)
            self._without_start = []
            self._consumer.assign([TopicPartition(self._topic, *start) for start in starts.items()])
            self._health.mark_recovered()
            started = {(self._topic, number): offset for number, offset in starts.items()}
            if self._find_starts != self._find_committed:
                self._uncommitted.update(started)  # who was killed may have committed less
            self._health.begin(started)
            return

    def _read_starts(self, partitions: list[int]) -> dict[int, int]:
        admin = self._connect_admin()
        read = partial(read_ranges, admin, self._topic, partitions)
        ranges = read()
        starts = dict(self._find_starts(ranges, read))
        self._topic_watch = TopicWatch(admin, ranges[0], monotonic)
        return starts

    @explaining_kafka()
    def _find_committed(
        self, ranges: Sequence[OffsetRange], _: Callable[[], Sequence[OffsetRange]]
    ) -> dict[int, int]:
        asked = [TopicPartition(self._topic, held.partition) for held in ranges]
        answered = self._consumer.committed(asked, timeout=_REQUEST_SECONDS)
        committed = {partition.partition: partition.offset for partition in answered}
        starts = {}
        for held in ranges:
            offset = committed[held.partition]
            starts[held.partition] = offset if held.low <= offset <= held.high else held.low
        return starts

    def _connect_admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._settings.client_config() | {"error_cb": self._watch})
        return self._admin

    def _take_turn(self, handle: Handle, stop: Event, each_turn: Callable[[], None]) -> None:
        try:
            self._handle_next(handle, stop)
            self._pass_skipped()
            each_turn()
        except PartitionLost as error:
            self._log.error("partitions begin anew", error=str(error))
            self._health.finish_batch({})
            self._restart_partitions()
            self._wait(_LOST_SECONDS, stop)

    def _handle_next(self, handle: Handle, stop: Event) -> None:
        """Handle what has arrived, if anything, and keep none of it: it may be large."""
        polled = poll_batch(self._consumer, self._batch_size, _POLL_SECONDS, self._watch)
        records = [record for record in polled.records if self._standstill.takes(record.partition)]
        for message in polled.errors:
            self._note_error(message)
        if records:
            self._handle(handle, records, stop)

    def _note_error(self, message: KafkaMessage) -> None:
        error = message.error()
        if error is None or self._standstill.drops(message) or tells_end(message):
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._restart_partitions()  # ``find_starts`` explains why Kafka lacks our position
            return
        self._watch(error)  # losing the membership is reported here, not to error_cb
        self._watch.raise_if_hopeless()
        if (obstacle := find_obstacle(message)) is not None:
            self._standstill.stop(message.partition() or 0, obstacle)

    def _pass_skipped(self) -> None:
        """Go on where an operator has skipped a batch; nothing of it is handled."""
        passed = self._standstill.go_on()
        if passed:
            positions = {(self._topic, number): offset for number, offset in passed.items()}
            self._uncommitted.update(positions)
            self._health.finish_batch(positions)

    def _handle(self, handle: Handle, records: list[Record], stop: Event) -> None:
        self._health.take_batch()
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._batch_partitions = set(ends)
        for delay in backoff():
            try:
                handle(records)
                break
            except DependencyDown as error:
                self._log.error("waiting for a dependency", error=str(error), seconds=delay)
                self._health.wait_for(error.dependency, str(error))
                self._wait(delay, stop)
            if stop.is_set():
                return  # not handled, so not committed: read again at the next start
        # Not of partitions that were taken away meanwhile: that would move the group back.
        handled = {partition: ends[partition] for partition in self._batch_partitions}
        self._uncommitted.update(handled)
        self._health.finish_batch(handled)

    def _restart_partitions(self) -> None:
        """Drop what was read, and find the starts again."""
        assigned = {partition.partition for partition in self._consumer.assignment()}
        if numbers := sorted(assigned.union(self._standstill.forget())):
            self._hold_back(numbers)

    def _wait(self, seconds: float, stop: Event) -> None:
        """Stay in the group while waiting; paused partitions deliver nothing."""
        end = monotonic() + seconds
        paused: dict[int, TopicPartition] = {}
        while monotonic() < end and not stop.is_set():
            self._health.heartbeat()
            # Each time: a rebalance hands out partitions that are not paused.
            assigned = self._consumer.assignment()
            paused |= {partition.partition: partition for partition in assigned}
            self._consumer.pause(assigned)
            message = self._consumer.poll(_POLL_SECONDS)
            self._watch.raise_if_hopeless()
            if message is not None and message.error() is not None:
                self._note_error(message)
            elif message is not None and self._standstill.takes(message.partition() or 0):
                record = Record.from_kafka(message)
                self._consumer.seek(TopicPartition(record.topic, record.partition, record.offset))
        # Also those that were taken away meanwhile: they would stay paused when they come back.
        self._consumer.resume([*paused.values()])

    def _commit(self) -> None:
        """Commit without waiting for the answer, which would stop us whenever Kafka is away."""
        due, self._uncommitted = self._uncommitted, {}
        self._committed_at = monotonic()
        if due:
            offsets = [TopicPartition(*partition, offset) for partition, offset in due.items()]
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            except KafkaException as error:
                self._watch(error.args[0])
            self._watch.raise_if_hopeless()

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        # Repeating records is harmless, and a later commit of a partition covers these too.
        if error is not None:
            self._watch(error)

    def _close(self) -> None:
        """Leave the group, but do not wait for ever for the answers to the last commits."""
        closing = Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            self._log.warning("left without Kafka's answer; the last records may be read again")
