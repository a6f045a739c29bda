"""Rows and positions on a real broker and real databases: crashes, takeovers, outages, cuts."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_bytes
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import URL, Engine, select
from typer.testing import CliRunner

from ioa.cli.main import app
from server_classifier.intake import ingest
from server_classifier.intake.admission import Admission
from server_classifier.intake.ingest import Ingester
from server_classifier.intake.positions import HeldPositions
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.errors import PositionError
from server_classifier.store.latents.rows import count_latents, insert_latents
from server_classifier.store.positions import list_positions
from server_classifier.store.registry.entries import add_client, add_encoder
from server_classifier.store.tables import latent
from stream.dead_letters.writer import DeadLetterWriter
from stream.errors import DeliveryFailed, PartitionLost
from stream.exchange.exchanges import LEARNING
from stream.exchange.message_ids import make_message_id
from stream.exchange.responder import Responder
from stream.exchange.topics import Topics
from stream.kafka.consumer import RecordConsumer
from stream.kafka.offsets import OffsetRange, read_ranges
from stream.kafka.producer import Publisher
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.load import AVRO, Load, encode_message, wait_for_rows
from tests.support.manifests import make_manifest
from tests.support.message_counts import MessageCounts
from tests.support.postgres import Postgres
from tests.support.server import LATENT_DIM, NOW
from tests.support.topics import delete_topics, read_new, send_raw
from tests.support.waiting import wait_until

CLIENT = "radiology-1"


class Killed(Exception):
    """Ends an ingester as a crash would: nothing of what follows is done."""


@dataclass
class Deployment:
    """Topics and a database; ``ingest`` runs one ingester of them in this thread."""

    kafka: KafkaSettings
    engine: Engine
    taken: list[int] = field(default_factory=list)
    fenced: list[str] = field(default_factory=list)

    @property
    def topics(self) -> Topics:
        return Topics(self.kafka.prefix)

    def load(self) -> Load:
        topic, encoder_id = self.topics.of(LEARNING).name, make_manifest().network_id
        return Load(self.kafka.bootstrap_servers, topic, CLIENT, encoder_id, seed=3)

    def make_responder(self, kind: type[Responder] = Responder) -> Any:
        publisher = Publisher(self.kafka)
        dead_letter = DeadLetterWriter(publisher, self.topics).write
        return kind(
            publisher, self.topics, dead_letter=dead_letter, clock=time.time, random=token_bytes
        )

    def ingest(
        self,
        stop: Event,
        *,
        name: str = "0",
        responder: Responder | None = None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Ingest until ``stop`` is set; ``after`` is called after each batch."""
        now = lambda: datetime.now(UTC)  # noqa: E731
        positions = HeldPositions(self.engine, owner=f"test {name}", now=now)
        ingester = Ingester(
            self.engine,
            Admission(self.engine, None, time.monotonic),
            responder or self.make_responder(),
            positions,
            cluster_id="test",
            now=now,
        )

        def handle(records: Sequence[Record]) -> None:
            try:
                ingester.handle(records)
            except PartitionLost as error:
                self.fenced.append(str(error))
                raise
            self.taken.extend(record.offset for record in records)
            after()

        consumer = RecordConsumer(
            self.kafka,
            topic=self.topics.of(LEARNING).name,
            group=f"{self.kafka.prefix}.ingest-{name}",
            instance="0",
            batch_size=500,
            find_starts=positions.take,
        )
        consumer.run(handle, stop)

    def ingest_until(self, load: Load) -> MessageCounts:
        """Ingest until nothing is missing."""
        with self.ingesting():
            return wait_for_rows(load, self.engine)

    @contextmanager
    def ingesting(self, *, name: str = "0") -> Iterator[None]:
        """Ingest in a thread until the block ends."""
        stop, failed = Event(), []

        def run() -> None:
            try:
                self.ingest(stop, name=name)
            except Exception as error:
                failed.append(error)

        thread = Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        assert not failed, failed

    def positions(self) -> dict[int, int]:
        with reading(self.engine) as connection:
            return {row.partition: row.next_offset for row in list_positions(connection)}

    def ranges(self) -> list[OffsetRange]:
        admin = AdminClient(self.kafka.client_config())
        return read_ranges(admin, self.topics.of(LEARNING).name)


@pytest.fixture
def deployment(kafka: str, topic_prefix: str, database_url: str) -> Iterator[Deployment]:
    kafka_settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(kafka_settings, [*topics.shared(), topics.replies(CLIENT)])
    patience = "?timeout=0.2" if database_url.startswith("sqlite") else ""
    engine = open_database(database_url + patience)
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(), now=NOW)
        add_client(connection, client_id=CLIENT, site="st-mary", default_encoder=None, now=NOW)
    yield Deployment(kafka_settings, engine)
    engine.dispose()


def send(deployment: Deployment, count: int) -> Load:
    """Send so many messages and wait until the broker has them."""
    load = deployment.load()
    load.send(count)
    load.flush()
    return load


def read_committed(deployment: Deployment) -> int:
    """Return the sum of what Kafka itself believes to be read."""
    group = ConsumerGroupTopicPartitions(f"{deployment.kafka.prefix}.ingest-0")
    admin = AdminClient(deployment.kafka.client_config())
    (future,) = admin.list_consumer_group_offsets([group]).values()
    return sum(max(committed.offset, 0) for committed in future.result().topic_partitions)


def test_after_a_crash_before_kafkas_commit_the_position_is_the_databases(
    deployment: Deployment,
) -> None:
    load = send(deployment, 300)

    def kill_when_stored() -> None:
        if not load.count(deployment.engine).lost:
            raise Killed

    with pytest.raises(Killed):
        deployment.ingest(Event(), after=kill_when_stored)
    read = sum(deployment.positions().values())
    assert read >= 300
    assert read_committed(deployment) < read
    deployment.taken.clear()
    load.send(100)  # so that each partition gets some: Kafka hears of a position with what follows
    load.flush()
    assert deployment.ingest_until(load).exact
    assert len(deployment.taken) == sum(deployment.positions().values()) - read
    assert sum(offsets.high for offsets in deployment.ranges()) == sum(
        deployment.positions().values()
    )
    assert read_committed(deployment) == sum(deployment.positions().values())


def test_a_crash_before_the_commit_keeps_neither_rows_nor_position(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = send(deployment, 300)

    def insert_and_die(*arguments: Any) -> int:
        insert_latents(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "insert_latents", insert_and_die)
        with pytest.raises(Killed):
            deployment.ingest(Event())
    assert load.count(deployment.engine).stored == 0
    assert sum(deployment.positions().values()) == 0
    assert deployment.ingest_until(load).exact


def test_two_ingesters_of_one_partition_fence_each_other_and_rows_stay_exact(
    deployment: Deployment,
) -> None:
    load = deployment.load()
    with deployment.ingesting(name="0"), deployment.ingesting(name="1"):
        with load.running():
            wait_until(lambda: len(deployment.fenced) >= 2, "nobody is fenced")
        tally = wait_for_rows(load, deployment.engine)
    assert tally.exact, tally
    assert "was taken over by test" in deployment.fenced[0]
    # Nothing was read by both: a batch counts only for whom it was committed.
    assert len(deployment.taken) == sum(offsets.high for offsets in deployment.ranges())


class LastAnswerFails(Responder):
    """Loses the connection once: after the commit, when the answers should go out."""

    flushed = 0

    def flush(self) -> None:
        super().flush()
        self.flushed += 1
        if self.flushed == 2:
            raise DeliveryFailed("the broker is away")


def test_an_answer_that_fails_is_repeated_without_storing_or_burying_again(
    deployment: Deployment,
) -> None:
    topics = deployment.topics
    load = send(deployment, 1)
    send_raw(deployment.kafka.bootstrap_servers, topics.of(LEARNING).name, [(b"junk", [])])
    stop = Event()
    responder = deployment.make_responder(LastAnswerFails)
    dead = read_new(deployment.kafka.bootstrap_servers, topics.dead_letters.name)
    replies = read_new(deployment.kafka.bootstrap_servers, topics.replies(CLIENT).name)

    def stop_when_done() -> None:
        if sum(deployment.positions().values()) >= 2:
            stop.set()

    with dead as read_dead, replies as read_replies:
        deployment.ingest(stop, responder=responder, after=stop_when_done)
        assert len(read_dead(2, seconds=3)) == 1
        assert len(read_replies(1)) >= 1
    assert load.count(deployment.engine).exact
    assert responder.flushed > 2


class SecondDeadLetterFails(Responder):
    """Loses the connection once: when an id is found to be taken, and its dead letter is sent."""

    flushed = 0
    stored_meanwhile: list[int]
    engine: Engine

    def flush(self) -> None:
        super().flush()
        self.flushed += 1
        if self.flushed in (2, 3):
            with reading(self.engine) as connection:
                self.stored_meanwhile.append(count_latents(connection))
        if self.flushed == 2:
            raise DeliveryFailed("the broker is away")


def test_the_dead_letter_of_a_taken_id_is_delivered_before_anything_is_stored(
    deployment: Deployment,
) -> None:
    bootstrap, topics = deployment.kafka.bootstrap_servers, deployment.topics
    message_id, encoder_id = make_message_id(1, bytes(10)), make_manifest().network_id
    zeros = np.zeros(LATENT_DIM, np.float32)
    bodies = [
        encode_message(message_id, label, zeros, CLIENT, encoder_id, NOW)
        for label in ("hand", "chest")
    ]
    stop = Event()
    responder = deployment.make_responder(SecondDeadLetterFails)
    responder.engine, responder.stored_meanwhile = deployment.engine, []
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        # In one batch of the broker, and so of the ingester.
        send_raw(bootstrap, topics.of(LEARNING).name, [(body, [*AVRO]) for body in bodies])
        deployment.ingest(stop, responder=responder, after=stop.set)
        assert {letter.value() for letter in dead_letters(2)} == {bodies[1]}
        kinds = [dict(answer.headers())["ioa-kind"] for answer in answers(2)]
    assert responder.stored_meanwhile == [0, 0]
    assert kinds == [b"acknowledgement", b"refusal"]
    with reading(deployment.engine) as connection:
        assert connection.scalars(select(latent.c.label)).all() == ["hand"]


@contextmanager
def outage(engine: Engine, request: pytest.FixtureRequest) -> Iterator[None]:
    """Take the database away: PostgreSQL is shut down, the SQLite file locked by somebody."""
    if engine.dialect.name == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        server.stop()
        yield
        server.start()
        return
    with closing(sqlite3.connect(engine.url.database or "")) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield


def test_a_database_that_goes_away_is_waited_for(
    deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    load = deployment.load()
    with deployment.ingesting():
        with load.running():
            for _ in range(3):
                time.sleep(0.7)
                with outage(deployment.engine, request):
                    time.sleep(1.0)
        tally = wait_for_rows(load, deployment.engine)
    assert tally.exact, tally
    assert tally.sent > 1000
    assert deployment.fenced == []
    assert len(deployment.taken) == sum(offsets.high for offsets in deployment.ranges())


def reset(deployment: Deployment, to: str) -> None:
    """Type the command that the error names."""
    url = deployment.engine.url
    database = url.set(drivername=url.get_backend_name(), query=_plain(url)).render_as_string(False)
    where = ["-b", deployment.kafka.bootstrap_servers, "--database", database]
    topic = deployment.topics.of(LEARNING).name
    command = ["database", "position", "reset", "--topic", topic, "--to", to, *where]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def _plain(url: URL) -> dict[str, Any]:
    return {name: value for name, value in url.query.items() if name != "timeout"}


def test_records_deleted_unread_are_an_error_until_the_operator_accepts_it(
    deployment: Deployment,
) -> None:
    topic = deployment.topics.of(LEARNING).name
    assert deployment.ingest_until(send(deployment, 200)).exact
    read = deployment.positions()
    send(deployment, 200)
    ends = [TopicPartition(topic, held.partition, held.high - 5) for held in deployment.ranges()]
    admin = AdminClient(deployment.kafka.client_config())
    for future in admin.delete_records(ends).values():
        future.result()
    with pytest.raises(PositionError, match="records were deleted unread") as raised:
        deployment.ingest(Event())
    assert f"`ioa database position reset --topic {topic} --partition" in str(raised.value)
    assert deployment.positions() == read
    reset(deployment, "earliest")
    assert deployment.ingest_until(send(deployment, 20)).lost == 0


def test_a_topic_made_again_is_an_error_until_the_operator_accepts_it(
    deployment: Deployment,
) -> None:
    assert deployment.ingest_until(send(deployment, 200)).exact
    delete_topics(deployment.kafka, [deployment.topics.of(LEARNING).name])
    create_topics(deployment.kafka, [deployment.topics.of(LEARNING)])
    load = send(deployment, 400)  # more than before, so that the old position exists in it
    with pytest.raises(PositionError, match="it was deleted and made again"):
        deployment.ingest(Event())
    reset(deployment, "earliest")
    assert deployment.ingest_until(load).lost == 0


def test_a_topic_made_again_under_a_reader_is_noticed_before_anything_is_lost(
    deployment: Deployment,
) -> None:
    """librdkafka goes on in the new topic at the old position, past what lies before it."""
    failed: list[PositionError] = []

    def run() -> None:
        try:
            deployment.ingest(Event())
        except PositionError as error:
            failed.append(error)

    first = send(deployment, 200)
    thread = Thread(target=run, daemon=True)
    thread.start()
    assert wait_for_rows(first, deployment.engine).exact
    delete_topics(deployment.kafka, [deployment.topics.of(LEARNING).name])
    create_topics(deployment.kafka, [deployment.topics.of(LEARNING)])
    second = send(deployment, 400)
    thread.join(40)
    assert "it was deleted and made again" in str(failed[0])
    reset(deployment, "earliest")
    tally = deployment.ingest_until(second)
    assert (tally.stored, tally.doubled, tally.lost) == (600, 0, 0)
