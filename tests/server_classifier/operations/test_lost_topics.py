"""A topic that was read and is missing: nothing makes it again but the operator's command."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from client_autoencoder.settings import ClientSettings
from ioa.settings import Settings
from server_classifier.operations.topics import mark_read
from server_classifier.settings import ServerSettings
from server_classifier.store.database import reading, writing
from server_classifier.store.positions import list_positions, take_position
from server_classifier.store.replays import ReplayRow, begin_replay
from stream.broker import properties
from stream.broker.embedded import EmbeddedBroker
from stream.errors import DeliveryFailed
from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin
from stream.kafka.offsets import OffsetRange
from stream.kafka.producer import Publisher
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics, list_topic_names
from tests.support.commands import run
from tests.support.ingestion import Ingestion, open_ingestion
from tests.support.load import Load, wait_for_rows
from tests.support.postgres import DATABASES
from tests.support.processes import IoaProcess
from tests.support.server import NOW
from tests.support.topics import delete_topics
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Lost:
    """A deployment whose learning topic of seven partitions was read, and was then deleted.

    ``kafka`` names no number of partitions, so that the table's four count.
    """

    ingestion: Ingestion
    kafka: KafkaSettings
    load: Load

    @property
    def learning(self) -> str:
        return Topics(self.kafka.prefix).of(LEARNING).name

    def exists(self) -> bool:
        return self.learning in list_topic_names(self.kafka)

    def start(self, service: str) -> IoaProcess:
        server = ServerSettings(database_url=self.ingestion.database_url, instance="0")
        settings = Settings.model_construct(
            kafka=self.kafka, server=server, client=ClientSettings()
        )
        return IoaProcess(settings, self.ingestion.folder / f"{service}.log", "server", service)

    def type(self, *words: str) -> str:
        """Type a command and return all that it says."""
        where = ("-b", self.kafka.bootstrap_servers, "--prefix", self.kafka.prefix)
        done = run(*words, *where, "--database", self.ingestion.database_url)
        return done.stdout + done.stderr

    def reset(self, to: str) -> str:
        return self.type("database", "position", "reset", "--topic", self.learning, "--to", to)

    def read_partitions(self) -> list[int]:
        with reading(self.ingestion.engine) as connection:
            return [position.partition for position in list_positions(connection)]


@pytest.fixture(scope="module", params=DATABASES)
def lost(
    kafka: str,
    request: pytest.FixtureRequest,
    make_database: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lost]:
    folder = tmp_path_factory.mktemp("lost")
    seven = KafkaSettings(bootstrap_servers=kafka, prefix=f"lost-{request.param}", partitions=7)
    with open_ingestion(seven, make_database(request.param, folder), folder) as ingestion:
        load = ingestion.make_load()
        load.send(100)
        load.flush()
        with ingestion.start("first"):
            assert wait_for_rows(load, ingestion.engine).exact
        deployment = Lost(ingestion, seven.model_copy(update={"partitions": None}), load)
        delete_topics(seven, [deployment.learning])
        yield deployment


def start_ingest(lost: Lost) -> str:
    process = lost.start("ingest")
    assert process.wait() == 1
    assert "cannot read" in process.text
    return process.text


def start_infer(lost: Lost) -> str:
    """It answers questions nevertheless."""
    with lost.start("infer") as process:
        process.wait_for("partitions assigned")
        return process.text


def add_client(lost: Lost) -> str:
    return lost.type("client", "add", "ct-1", "--site", "north")


def create(lost: Lost) -> str:
    """The other topics are made: none of them was read into the database."""
    topics = Topics(lost.kafka.prefix)
    delete_topics(lost.kafka, [topics.dead_letters.name, topics.of(SERVICE).name])
    said = lost.type("topic", "create")
    assert {topics.dead_letters.name, topics.of(SERVICE).name} < {*list_topic_names(lost.kafka)}
    return said


def check(lost: Lost) -> str:
    return lost.type("topic", "check")


@pytest.mark.parametrize("attempt", [start_ingest, start_infer, add_client, create, check])
def test_a_topic_that_was_read_is_not_made_again_by_accident(
    lost: Lost, attempt: Callable[[Lost], str]
) -> None:
    said = attempt(lost)
    assert f"{lost.learning} is missing, though it was read into the database" in said
    assert f"`ioa database position reset --topic {lost.learning} --to earliest` makes it" in said
    assert "with 7 partitions" in said
    assert not lost.exists()


def test_an_operator_makes_it_again_as_it_was(lost: Lost) -> None:
    assert "neither earliest, latest, nor an offset" in lost.reset("yesterday")
    assert not lost.exists()
    assert "is read from earliest on in partition 0, 1, 2, 3, 4, 5, 6" in lost.reset("earliest")
    load = lost.ingestion.make_load()
    load.ids += lost.load.ids
    with lost.start("ingest") as process:
        load.send(50)
        load.flush()
        assert wait_for_rows(load, lost.ingestion.engine).exact
    assert "not as it should be" not in process.text
    delete_topics(lost.kafka, [lost.learning])


def test_fewer_partitions_than_were_read_are_drift_until_an_operator_accepts_them(
    lost: Lost,
) -> None:
    create_topics(lost.kafka, [Topics(lost.kafka.prefix).of(LEARNING)])
    assert f"{lost.learning} has 4 partitions, not 7" in lost.type("topic", "check")
    with lost.start("ingest") as process:
        process.wait_for(f"{lost.learning} has 4 partitions, not 7")
    lost.reset("earliest")
    assert "partitions, not" not in lost.type("topic", "check")
    assert lost.read_partitions() == [0, 1, 2, 3]
    delete_topics(lost.kafka, [lost.learning])


def test_a_topic_that_is_deleted_under_a_reader_ends_it_and_stays_deleted(lost: Lost) -> None:
    lost.reset("earliest")
    with lost.start("ingest") as process:
        process.wait_for("reading begins")
        delete_topics(lost.kafka, [lost.learning])
        wait_until(lambda: process.exit_code is not None, "it reads on", seconds=30)
    assert f"cannot read {lost.learning}: it is missing; `ioa topic check`" in process.text
    assert not lost.exists()


def test_services_that_start_at_once_on_an_empty_cluster_make_its_topics(
    lost: Lost, topic_prefix: str
) -> None:
    new = replace(lost, kafka=lost.kafka.model_copy(update={"prefix": topic_prefix}))
    with new.start("ingest") as ingest, new.start("infer") as infer:
        ingest.wait_for("reading begins")
        infer.wait_for("partitions assigned")
    assert {topic.name for topic in Topics(topic_prefix).shared()} == {*list_topic_names(new.kafka)}


def test_what_a_replay_has_read_is_not_missed(engine: Engine) -> None:
    learning = Topics("ioa").of(LEARNING)
    with writing(engine) as connection:
        take_position(connection, OffsetRange(learning.name, 6, "id", 0, 0), owner="replay")
    (marked,) = mark_read(engine, [learning])
    assert (marked.partitions, marked.was_read) == (7, True)
    with writing(engine) as connection:
        begin_replay(connection, ReplayRow("{}", "{}", None, NOW, None))
    assert mark_read(engine, [learning]) == [learning]


def test_no_client_of_ours_has_a_willing_broker_make_a_topic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka's own default is to make a topic, of one partition, that somebody writes to."""
    willing = properties.SERVER_PROPERTIES.replace(
        "auto.create.topics.enable=false", "auto.create.topics.enable=true"
    )
    assert willing != properties.SERVER_PROPERTIES
    monkeypatch.setattr(properties, "SERVER_PROPERTIES", willing)
    with EmbeddedBroker(tmp_path / "broker") as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        publisher = Publisher(kafka, delivery_timeout=10)
        publisher.publish(Topics("ioa").of(LEARNING), b"x", key=None, headers=[])
        with pytest.raises(DeliveryFailed, match="Unknown topic"):
            publisher.flush()
        connect_admin(kafka).list_topics("ioa.service", timeout=10)
        assert list_topic_names(kafka) == []
