"""What all services of the server need at their start: the database, Kafka and a monitor."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from threading import Event

import structlog
from sqlalchemy import Engine

from server_classifier.operations.metrics import BatchMetrics, count_dead_letters
from server_classifier.operations.monitor import Monitor, open_monitor
from server_classifier.operations.topics import mark_read, warn_of_drift
from server_classifier.settings import ServerSettings
from server_classifier.store.database import ensure_current, open_database
from server_classifier.store.errors import StoreError, StoreUnavailable
from server_classifier.store.replays import refuse_replay
from server_classifier.store.skips import find_skips
from stream.dead_letters.writer import DeadLetterWriter
from stream.errors import KafkaRefused, KafkaUnavailable, TopicMissing
from stream.exchange.responder import Responder
from stream.exchange.topics import Topics
from stream.health import Health
from stream.kafka.connection import backoff, read_cluster_id, wait_for_cluster
from stream.kafka.consumer import FindStarts, Handle, RecordConsumer
from stream.kafka.producer import Publisher
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topic, count_partitions, create_topics

# After this time a service that cannot deliver reports what it waits for.
_DELIVERY_SECONDS = 30.0
_ASK_SECONDS = 1.0


@dataclass(frozen=True)
class ServiceContext:
    """The database, the cluster and the monitor of a service; the first two have answered.

    Attributes:
        partitions: how many each topic had then, by its name.
    """

    kafka: KafkaSettings
    settings: ServerSettings
    engine: Engine
    cluster_id: str
    partitions: Mapping[str, int]
    monitor: Monitor
    stack: ExitStack

    @property
    def topics(self) -> Topics:
        """The topics of this deployment."""
        return Topics(self.kafka.prefix, self.kafka.partitions)

    def close(self) -> None:
        """Close the connections to the database, and the monitor."""
        self.engine.dispose()
        self.stack.close()

    def make_responder(self, *, linger_ms: int = 0) -> Responder:
        """Return a responder with a producer of its own; see ``Publisher``."""
        publisher = Publisher(
            self.kafka,
            delivery_timeout=_DELIVERY_SECONDS,
            linger_ms=linger_ms,
            only_failures=True,
        )
        on_written = count_dead_letters(self.monitor.registry).inc
        return Responder(
            publisher,
            self.topics,
            dead_letter=DeadLetterWriter(publisher, self.topics, on_written).write,
            clock=time.time,
            random=secrets.token_bytes,
        )

    def make_consumer(
        self, topic: Topic, *, group: str, batch_size: int, find_starts: FindStarts | None = None
    ) -> RecordConsumer:
        """Return this process's member of the consumer group ``<prefix>.<group>``."""
        # Kafka gives a process that comes back under its name the partitions that it had, and
        # looks for no new ones. Where their number has changed meanwhile, it comes as a new one.
        partitions = self.partitions.get(topic.name, 0)
        return RecordConsumer(
            self.kafka,
            topic=topic.name,
            group=f"{self.kafka.prefix}.{group}",
            instance=f"{self.settings.instance}-{partitions}",
            batch_size=batch_size,
            find_starts=find_starts,
            find_skips=partial(find_skips, self.engine, topic.name),
            health=self.monitor.health,
        )

    def measure(self, handle: Handle) -> Handle:
        """Return a handler that also counts its records and its seconds."""
        metrics = BatchMetrics(self.monitor.registry)

        def handle_measured(records: Sequence[Record]) -> None:
            started = time.perf_counter()
            handle(records)
            metrics.count(len(records), time.perf_counter() - started)

        return handle_measured


def open_service_context(
    kafka: KafkaSettings,
    settings: ServerSettings,
    stop: Event,
    prepare: Callable[[Engine], None] = ensure_current,
) -> ServiceContext | None:
    """Wait for database and cluster and create topics; None when ``stop`` was set first.

    A topic that was read before and is missing is not created: see ``Topic``.

    Args:
        prepare: prepares the database for the service, or refuses it.

    Raises:
        StoreError: the database cannot be used, and waiting does not help.
        KafkaRefused: the cluster refuses us, and waiting does not help.
    """
    with ExitStack() as stack:
        monitor = stack.enter_context(open_monitor(settings.health))
        engine = await_database(settings, stop, monitor.health, prepare)
        if engine is None:
            return None
        cluster = _await_topics(kafka, engine, stop, monitor)
        if cluster is None:
            return None
        return ServiceContext(kafka, settings, engine, *cluster, monitor, stack.pop_all())


def _await_topics(
    kafka: KafkaSettings, engine: Engine, stop: Event, monitor: Monitor
) -> tuple[str, dict[str, int]] | None:
    """Make the topics; return the cluster's id and how many partitions each topic has.

    A cluster that goes away meanwhile is waited for again. None when ``stop`` was set first.
    """
    report = partial(_report_absence, monitor.health)
    for delay in backoff():
        admin = wait_for_cluster(kafka, stop, report)
        if admin is None:
            return None
        try:
            topics = mark_read(engine, Topics(kafka.prefix, kafka.partitions).shared())
            with suppress(TopicMissing):  # the warning says so, too; whoever reads it fails
                create_topics(kafka, topics, admin)
            warn_of_drift(kafka, topics, monitor.registry)
            cluster = read_cluster_id(admin), count_partitions(admin)
        except KafkaRefused:
            raise
        except KafkaUnavailable as error:
            report(str(error))
            stop.wait(delay)
            continue
        monitor.health.mark_recovered()
        return cluster
    return None


def _report_absence(health: Health, reason: str) -> None:
    structlog.get_logger().error("waiting for Kafka", error=reason)
    health.wait_for("kafka", reason)


def await_database(
    settings: ServerSettings,
    stop: Event,
    health: Health,
    prepare: Callable[[Engine], None] = ensure_current,
) -> Engine | None:
    """Open the database and bring its tables up to date; None when ``stop`` was set first.

    Raises:
        StoreError: it cannot be used, and waiting does not help.
    """
    engine = open_database(settings.database_url)
    for delay in backoff():
        try:
            prepare(engine)
            health.mark_recovered()
            return engine
        except StoreUnavailable as error:
            structlog.get_logger().error("waiting for the database", error=str(error))
            health.wait_for(error.dependency, str(error))
        except StoreError:
            engine.dispose()
            raise
        if stop.wait(delay):
            return None
    return None


def prepare_live(engine: Engine) -> None:
    """Bring the tables up to date, and refuse a database that live messages must not reach.

    Raises:
        ReplayRefused: a replay has filled it.
    """
    ensure_current(engine)
    refuse_replay(engine)


class DatabaseWatch:
    """Notices what happens in the database also while nothing is read from it or written to it.

    Args:
        ask: asks the database; what it raises but StoreUnavailable is raised.
        clock: seconds that never go back.
    """

    def __init__(
        self, ask: Callable[[], object], health: Health, clock: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._health = health
        self._clock = clock
        self._asked_at = clock()

    def poll(self) -> None:
        """Ask the database, if the last answer is old enough."""
        if self._clock() - self._asked_at < _ASK_SECONDS:
            return
        try:
            self._ask()
            self._health.mark_recovered()
        except StoreUnavailable as error:
            structlog.get_logger().error("the database is away", error=str(error))
            self._health.wait_for(error.dependency, str(error))
        finally:
            self._asked_at = self._clock()
