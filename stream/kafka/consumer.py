"""The one consumer loop of every service.

The order is fixed: the handler's effects (dead letters delivered, rows committed, answers sent),
then the offsets. A crash between the two repeats records, and handlers make repetition harmless.

A handler that keeps positions of its own, in the transaction of what it writes, says where each
partition begins (``place``). Kafka's offsets then only tell others how far it is.
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
from stream.kafka.connection import ErrorWatch, backoff, raise_if_lasting
from stream.kafka.offsets import OffsetRange, TopicWatch, read_ranges
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings

Handle = Callable[[Sequence[Record]], None]
Place = Callable[[Sequence[OffsetRange], Callable[[], Sequence[OffsetRange]]], Mapping[int, int]]
"""Returns the offset at which each of some partitions begins, by number.

It takes what Kafka holds of them, and what asks Kafka once more.
"""

_POLL_SECONDS = 0.1
_COMMIT_SECONDS = 0.5
_QUEUED_MESSAGES = 5_000  # of each partition
_QUEUED_KILOBYTES = 4_096
_STATISTICS_SECONDS = 1.0
_LEAVE_SECONDS = 5.0  # then a cluster that does not answer is left without a word
_LOST_SECONDS = 1.0  # in which the group tells a process that was away who reads what now


class RecordConsumer:
    """A member of a consumer group that hands batches of records to a handler.

    Static membership (KIP-345): a process that was killed takes its partitions back at once
    instead of waiting for the session to expire. So ``instance`` must differ between the
    processes of one group.

    Args:
        place: asked whenever partitions are assigned, and again after ``PartitionLost``. Without
            it, reading goes on at the group's offsets in Kafka.
        health: told what the loop does; without it nobody is.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        topic: str,
        group: str,
        instance: str,
        batch_size: int,
        place: Place | None = None,
        health: Health | None = None,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._batch_size = batch_size
        self._place = place
        self._health = health or Health(monotonic)
        self._admin: AdminClient | None = None
        self._unplaced: list[int] = []
        self._topic_watch: TopicWatch | None = None
        self._log = structlog.get_logger().bind(topic=topic, group=group)
        self._watch = ErrorWatch(
            settings.bootstrap_servers,
            report=lambda reason: self._log.warning("Kafka is in trouble", error=reason),
        )
        self._due: dict[Partition, int] = {}
        self._in_hand: set[Partition] = set()  # of the batch, as far as they are still ours
        self._committed_at = 0.0
        config: dict[str, Any] = {
            "group.id": group,
            "group.instance.id": f"{group}-{instance}",
            "enable.auto.commit": False,
            # A position that Kafka does not hold is never replaced by a guess: that would skip.
            "auto.offset.reset": "earliest" if place is None else "error",
            "session.timeout.ms": 6000,
            # The default of 1 s leaves the CPU idle while records wait.
            "fetch.queue.backoff.ms": 2,
            # What waits in memory, beside the batch in hand, when much waits in Kafka.
            "queued.min.messages": _QUEUED_MESSAGES,
            "queued.max.messages.kbytes": _QUEUED_KILOBYTES,
            "isolation.level": "read_committed",
            "error_cb": self._watch,
            "on_commit": self._on_commit,
            "statistics.interval.ms": int(1000 * _STATISTICS_SECONDS),
            "stats_cb": self._on_statistics,
        }
        self._consumer = Consumer({**config, **settings.client_config()})

    def run(
        self,
        handle: Handle,
        stop: Event,
        *,
        when_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """Consume until ``stop`` is set, then commit and leave.

        Args:
            handle: takes a batch; it is called again with the same list on DependencyDown, and
                what it does not want after PartitionLost is dropped.
            stop: ends the loop after the batch in hand.
            when_idle: called about ten times a second while no records come.

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
                if self._unplaced:
                    self._begin(stop)
                elif records := self._poll():
                    self._handle(handle, records, stop)
                else:
                    when_idle()
                if self._topic_watch is not None and self._topic_watch.was_recreated():
                    self._look_again()
                if self._due and monotonic() - self._committed_at > _COMMIT_SECONDS:
                    self._commit()
            self._commit()
        finally:
            self._leave()

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        parts = [one.partition for one in partitions]
        self._log.info("partitions assigned", partitions=parts)
        if self._place is not None and parts:
            # Asking for positions may take long, and must not hold the group up: begin later.
            self._set_aside(parts)
        else:
            self._health.begin({(self._topic, part): None for part in parts})

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit what was handled, so that whoever reads these partitions next goes on there.

        librdkafka gives the partitions back when this commit is answered.
        """
        self._commit()
        self._let_go(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit nothing: another member may be further already."""
        self._let_go(partitions)

    def _let_go(self, partitions: list[TopicPartition]) -> None:
        gone = {(one.topic, one.partition) for one in partitions}
        self._due = {one: offset for one, offset in self._due.items() if one not in gone}
        self._in_hand -= gone
        self._unplaced = []
        self._health.prepare()

    def _on_statistics(self, text: str) -> None:
        """Note what librdkafka knows without asking anybody, once a second."""
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
        self._health.see_ends(
            {(self._topic, int(part)): values["ls_offset"] for part, values in known.items()}
        )

    def _set_aside(self, parts: list[int]) -> None:
        """Keep the partitions as a member of the group, but read nothing of them yet."""
        self._unplaced = parts
        self._consumer.assign([])
        self._health.prepare()

    def _begin(self, stop: Event) -> None:
        """Begin to read the assigned partitions where ``place`` says."""
        for delay in backoff():
            if stop.is_set() or not self._unplaced:
                return
            try:
                starts = self._ask_starts(self._unplaced)
            except KafkaRefused:
                raise
            except (DependencyDown, KafkaUnavailable) as error:
                self._log.error("waiting for positions", error=str(error), seconds=delay)
                self._health.wait_for(error.dependency, str(error))
                self._admin = None  # a new one connects anew
                self._wait(delay, stop)
                continue
            self._log.info("reading begins", offsets=starts)
            self._unplaced = []
            self._consumer.assign([TopicPartition(self._topic, *start) for start in starts.items()])
            self._health.mark_recovered()
            begun = {(self._topic, part): start for part, start in starts.items()}
            self._due.update(begun)  # a process that was killed may have committed less
            self._health.begin(begun)
            return

    def _ask_starts(self, parts: list[int]) -> dict[int, int]:
        assert self._place is not None  # noqa: S101 - only then are partitions set aside
        if self._admin is None:
            self._admin = AdminClient(self._settings.client_config() | {"error_cb": self._watch})
        look = partial(read_ranges, self._admin, self._topic, parts)
        ranges = look()
        starts = dict(self._place(ranges, look))
        self._topic_watch = TopicWatch(self._admin, ranges[0], monotonic)
        return starts

    def _poll(self) -> list[Record]:
        # consume(n, t) waits for n records or all of t; so wait for one, then take what is there.
        first = self._consumer.poll(_POLL_SECONDS)
        self._watch.raise_if_hopeless()
        if first is None:
            return []
        rest = self._consumer.consume(self._batch_size - 1, 0)
        return [Record.from_kafka(message) for message in [first, *rest] if self._usable(message)]

    def _usable(self, message: KafkaMessage) -> bool:
        error = message.error()
        if error is None:
            return True
        if self._place is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._look_again()  # where our position is not in Kafka, ``place`` says so
            return False
        self._watch(error)  # losing the membership is reported here, not to error_cb
        self._watch.raise_if_hopeless()
        raise_if_lasting(error, self._topic)
        return False

    def _handle(self, handle: Handle, records: list[Record], stop: Event) -> None:
        self._health.take_batch()
        ends = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._in_hand = set(ends)
        for delay in backoff():
            try:
                handle(records)
                break
            except PartitionLost as error:
                self._log.error("batch dropped", error=str(error), records=len(records))
                self._health.finish_batch({})
                self._look_again()
                self._wait(_LOST_SECONDS, stop)
                return
            except DependencyDown as error:
                self._log.error("waiting for a dependency", error=str(error), seconds=delay)
                self._health.wait_for(error.dependency, str(error))
                self._wait(delay, stop)
            if stop.is_set():
                return  # not handled, so not committed: read again at the next start
        # What was taken away meanwhile is another's: our older offsets would move the group back.
        handled = {one: ends[one] for one in self._in_hand}
        self._due.update(handled)
        self._health.finish_batch(handled)

    def _look_again(self) -> None:
        """Drop what was read and ask for the positions again."""
        if assigned := self._consumer.assignment():
            self._set_aside([one.partition for one in assigned])

    def _wait(self, seconds: float, stop: Event) -> None:
        """Stay in the group while waiting; paused partitions deliver nothing."""
        end = monotonic() + seconds
        paused: dict[int, TopicPartition] = {}
        while monotonic() < end and not stop.is_set():
            self._health.heartbeat()
            # Each time: a rebalance hands out partitions that are not paused.
            assigned = self._consumer.assignment()
            paused |= {one.partition: one for one in assigned}
            self._consumer.pause(assigned)
            message = self._consumer.poll(_POLL_SECONDS)
            self._watch.raise_if_hopeless()
            if message is not None and self._usable(message):
                record = Record.from_kafka(message)
                self._consumer.seek(TopicPartition(record.topic, record.partition, record.offset))
        # Also what was taken away meanwhile: it would come back as paused as it left, for ever.
        self._consumer.resume([*paused.values()])

    def _commit(self) -> None:
        """Ask for the offsets to be kept; waiting for it would stop us whenever Kafka is away."""
        due, self._due = self._due, {}
        self._committed_at = monotonic()
        if due:
            offsets = [TopicPartition(*partition, offset) for partition, offset in due.items()]
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            except KafkaException as error:
                self._on_commit(error.args[0], offsets)
            self._watch.raise_if_hopeless()

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        # Repeating records is harmless, and a later commit of a partition covers these too.
        if error is not None:
            self._watch(error)

    def _leave(self) -> None:
        """Close the consumer, which waits for the answers to its commits, even for ever."""
        closing = Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(_LEAVE_SECONDS)
        if closing.is_alive():
            self._log.warning("left without Kafka's answer; the last records may be read again")
