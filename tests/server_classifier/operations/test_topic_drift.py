"""Topics that change: partitions are added, settings drift, the dead letters' topic is deleted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas.messages import headers as names
from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.server_classifier.intake.test_bad_input import as_json, ask
from tests.support.commands import run
from tests.support.server import RunningServer, run_server
from tests.support.topics import change_config, delete_topics, read_new, send_raw

CLIENT = "radiology-1"
LABELS = ("chest", "hand", "head")
ADDED_SECONDS = 30.0
"""Within which the records of an added partition are to be handled."""


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)


@contextmanager
def serving(settings: KafkaSettings, folder: Path) -> Iterator[RunningServer]:
    with run_server(settings, folder) as server:
        server.register(CLIENT)
        server.ingest.wait_until_ready()
        server.infer.wait_until_ready()
        yield server


def add_partitions(settings: KafkaSettings, total: int) -> None:
    """Let the topics of both exchanges have so many partitions."""
    topics = Topics(settings.prefix)
    wanted = [NewPartitions(topics.of(exchange).name, total) for exchange in (LEARNING, SERVICE)]
    admin = AdminClient(settings.client_config())
    for future in admin.create_partitions(wanted).values():
        future.result()


def fill_partitions(server: RunningServer, numbers: range) -> None:
    """Send two messages and two questions to each."""
    for number in numbers:
        for exchange, make in ((LEARNING, as_json), (SERVICE, ask)):
            send_raw(
                server.kafka.bootstrap_servers,
                server.topics.of(exchange).name,
                [(make(server), []), (make(server), [])],
                partition=number,
            )


def test_what_is_in_added_partitions_is_handled_within_half_a_minute(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    with (
        serving(settings, tmp_path) as server,
        read_new(settings.bootstrap_servers, server.topics.replies(CLIENT).name) as read_answers,
    ):
        fill_partitions(server, range(4))
        assert len(read_answers(16)) == 16
        add_partitions(settings, 7)
        fill_partitions(server, range(7))
        added = time.monotonic()
        assert len(read_answers(28, seconds=ADDED_SECONDS)) == 28
        assert time.monotonic() - added < ADDED_SECONDS
        assert server.count_stored() == 22


def test_partitions_that_are_added_between_two_runs_are_read_at_once(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    """Kafka gives a member that comes back within six seconds the partitions that it had."""
    with serving(settings, tmp_path):
        pass
    add_partitions(settings, 7)
    with (
        serving(settings, tmp_path) as server,
        read_new(settings.bootstrap_servers, server.topics.replies(CLIENT).name) as read_answers,
    ):
        fill_partitions(server, range(7))
        assert len(read_answers(28, seconds=ADDED_SECONDS)) == 28


def compact(settings: KafkaSettings, learning: str) -> None:
    change_config(settings.bootstrap_servers, learning, "cleanup.policy", "compact")


def stamp_by_client(settings: KafkaSettings, learning: str) -> None:
    change_config(settings.bootstrap_servers, learning, "message.timestamp.type", "CreateTime")


def forget(settings: KafkaSettings, learning: str) -> None:
    change_config(settings.bootstrap_servers, learning, "retention.ms", "3600000")


def shrink(settings: KafkaSettings, learning: str) -> None:
    delete_topics(settings, [learning])
    create_topics(settings, [Topics(settings.prefix, 2).of(LEARNING)])


DRIFT: dict[Callable[[KafkaSettings, str], None], str] = {
    compact: "cleanup.policy=compact, not delete",
    stamp_by_client: "message.timestamp.type=CreateTime, not LogAppendTime",
    forget: "retention.ms=3600000, not -1",
    shrink: "2 partitions, not 4",
}


@pytest.mark.parametrize("change", DRIFT, ids=lambda change: change.__name__)
def test_drift_is_warned_about_at_the_start_of_every_service(
    settings: KafkaSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[KafkaSettings, str], None],
) -> None:
    topics = Topics(settings.prefix)
    learning = topics.of(LEARNING).name
    create_topics(settings, topics.shared())
    change(settings, learning)
    with serving(settings, tmp_path) as server:
        drifts = [probe.metric("ioa_topic_drift") for probe in (server.ingest, server.infer)]
    assert drifts == [1, 1]
    told = [line for line in caplog.messages if "a topic is not as it should be" in line]
    assert len(told) == 2
    assert all(f"{learning} has {DRIFT[change]}" in line for line in told)
    where = ("-b", settings.bootstrap_servers, "--prefix", settings.prefix)
    checked = run("topic", "check", *where, "--database", f"sqlite:///{tmp_path / 'ioa.db'}")
    assert (checked.returncode, checked.stdout) == (1, f"{learning} has {DRIFT[change]}\n")


def test_topics_as_the_table_says_are_no_drift(settings: KafkaSettings, tmp_path: Path) -> None:
    with serving(settings, tmp_path) as server:
        assert server.ingest.metric("ioa_topic_drift") == 0


def test_a_deleted_topic_of_dead_letters_is_named_until_it_is_made(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    with (
        serving(settings, tmp_path) as server,
        read_new(settings.bootstrap_servers, server.topics.replies(CLIENT).name) as read_answers,
    ):
        delete_topics(settings, [server.topics.dead_letters.name])
        bad, good = as_json(server, label=""), as_json(server)
        learning = server.topics.of(LEARNING).name
        send_raw(settings.bootstrap_servers, learning, [(bad, []), (good, [])])
        fault = server.ingest.wait_for_fault("kafka-writes")
        assert f"{server.topics.dead_letters.name}: " in fault["reason"]
        assert "`ioa topic check` says what makes it" in fault["reason"]
        where = ("-b", settings.bootstrap_servers, "--prefix", settings.prefix)
        created = run("topic", "create", *where)
        assert created.stdout == f"created {server.topics.dead_letters.name}\n"
        kinds = [dict(answer.headers())[names.KIND] for answer in read_answers(2)]
        assert sorted(kinds) == [b"acknowledgement", b"refusal"]
        server.ingest.wait_until_ready()
