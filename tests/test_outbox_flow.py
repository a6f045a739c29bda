"""No message is lost or doubled between the client's disk and the server's database."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from client_autoencoder.errors import OutboxFull
from client_autoencoder.exchanges.draining import drain
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.reading import list_waiting
from server_classifier.store.database import reading
from server_classifier.store.tables import latent
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.client import CLIENT, Client, has_begun, ignore, serve
from tests.support.commands import start_client
from tests.support.encoders import train_encoder
from tests.support.images import draw_images
from tests.support.relays import open_relay
from tests.support.server import RunningServer
from tests.support.topics import delete_records
from tests.support.waiting import LONG, wait_until

SIGKILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def encoder_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_encoder(tmp_path_factory.mktemp("encoders") / "made")


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)


@pytest.fixture
def client(settings: KafkaSettings, encoder_directory: Path, tmp_path: Path) -> Client:
    return Client(settings, encoder_directory, tmp_path / "outbox")


@pytest.fixture
def registered(client: Client) -> Client:
    """A client whose topics exist, while no server reads them."""
    topics = Topics(client.kafka.prefix)
    create_topics(client.kafka, [*topics.shared(), topics.replies(CLIENT)])
    return client


@pytest.fixture
def server(client: Client, tmp_path: Path) -> Iterator[RunningServer]:
    with serve(client, tmp_path) as running:
        yield running


def stored_ids(server: RunningServer) -> list[str]:
    with reading(server.engine) as connection:
        return list(connection.execute(select(latent.c.message_id)).scalars())


def write_images(path: Path, count: int) -> Path:
    batch = draw_images(count)
    np.savez(path, images=batch.images[:, 0], labels=np.array(batch.labels))
    return path


def test_everything_leaves_the_outbox_when_it_is_stored(
    client: Client, server: RunningServer
) -> None:
    report = client.publish([draw_images(30), draw_images(20)], timeout=LONG)
    assert (report.sent, report.acknowledged, report.waiting) == (50, 50, 0)
    status = client.status
    assert (status.encoded, status.acknowledged, status.resent) == (50, 50, 0)
    assert (status.queued, status.delivered) == (0, 0)
    assert len(stored_ids(server)) == 50


def test_few_bytes_in_flight_at_a_time_are_enough(
    client: Client, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_autoencoder.outbox.relay._MAX_BYTES_IN_FLIGHT", 1000)
    report = client.publish([draw_images(30), draw_images(20)], timeout=LONG)
    assert (report.sent, report.acknowledged, report.waiting) == (50, 50, 0)


def test_waiting_messages_are_finished_by_the_next_run(registered: Client, tmp_path: Path) -> None:
    first = registered.publish([draw_images(3)], timeout=0.5)
    assert (first.sent, first.acknowledged, first.waiting) == (3, 0, 3)
    assert first.unanswered == ["made[0]", "made[1]", "made[2]"]
    waiting = [entry["message_id"] for entry in list_waiting(registered.file)]
    with serve(registered, tmp_path) as server:
        second = registered.publish([draw_images(2)], timeout=LONG)
        assert (second.sent, second.acknowledged, second.earlier) == (2, 2, 3)
        stored = stored_ids(server)
    assert len(stored) == 5
    assert set(waiting) < set(stored)


def test_answers_that_came_meanwhile_are_read_without_sending_again(
    registered: Client, tmp_path: Path
) -> None:
    registered.publish([draw_images(4)], timeout=0.5)
    with serve(registered, tmp_path) as server:
        wait_until(lambda: server.count_stored() == 4, "not all four are stored")
        result = registered.run("outbox", "drain", "--json")
        assert json.loads(result.stdout)["ended"] == {"acknowledged": 4}, result.stderr
    assert (registered.status.acknowledged, registered.status.resent) == (4, 0)


def test_a_lost_answer_is_asked_for_with_the_same_message(
    registered: Client, tmp_path: Path
) -> None:
    registered.publish([draw_images(4)], timeout=0.5)
    replies = Topics(registered.kafka.prefix).replies(CLIENT)
    with serve(registered, tmp_path) as server:
        wait_until(lambda: server.count_stored() == 4, "not all four are stored")
        delete_records(registered.kafka.bootstrap_servers, replies.name, 4)
        limits = Limits(resend=0.5)
        with open_relay(registered.kafka, CLIENT, registered.directory, limits=limits) as relay:
            report = drain(relay, timeout=LONG, on_progress=ignore)
        assert (report.ended["acknowledged"], report.waiting) == (4, 0)
        assert server.count_stored() == 4
    assert registered.status.resent >= 4


def test_a_full_outbox_waits_for_room_and_names_the_first_image_left_out(
    registered: Client, tmp_path: Path
) -> None:
    limits = Limits(size=4 * 500)
    batches = [draw_images(3), draw_images(3, seed=1)]
    with pytest.raises(OutboxFull, match=r"it took 3 messages; that of made\[0\] is the first"):
        registered.publish(batches, timeout=0.5, limits=limits)
    assert registered.status.encoded == 3
    with serve(registered, tmp_path) as server:
        report = registered.publish(batches, timeout=LONG, limits=limits)
        assert (report.acknowledged, report.earlier, report.waiting) == (6, 3, 0)
        assert server.count_stored() == 9


def test_a_topic_that_is_missing_is_an_error_that_loses_nothing(
    settings: KafkaSettings, client: Client
) -> None:
    create_topics(settings, [Topics(settings.prefix).replies(CLIENT)])
    result = client.run("client", "publish", "--data", "digits", "--limit", "3")
    assert result.returncode == 1
    assert f"{settings.prefix}.learning does not take" in result.stderr
    assert "Nothing is lost: 3 messages wait in" in result.stderr
    assert client.status.queued == 3


def test_a_killed_client_loses_and_doubles_nothing(
    client: Client, server: RunningServer, tmp_path: Path
) -> None:
    """SIGKILL while it encodes, sends and waits; then the outbox is drained."""
    data = write_images(tmp_path / "images.npz", 3000)
    seen: set[str] = set()
    for counter, more in (("encoded", 1), ("encoded", 900), ("acknowledged", 400)):
        kill_after(client, data, counter, more)
        seen |= {entry["message_id"] for entry in list_waiting(client.file)}
    assert seen, "it was always killed too late"
    result = client.run("outbox", "drain", "--json")
    assert result.returncode == 0, result.stderr
    status = client.status
    stored = stored_ids(server)
    assert (status.queued, status.delivered, status.refused) == (0, 0, 0)
    assert len(stored) == len(set(stored)) == status.encoded == status.acknowledged
    assert seen <= set(stored)


def kill_after(client: Client, data: Path, counter: str, more: int) -> None:
    """Publish, and kill the process once a counter of the status has grown by ``more``."""
    before = getattr(client.status, counter) if client.file.exists() else 0
    arguments = ("client", "publish", "--data", data, "--outbox", client.directory)
    with start_client(client.kafka, CLIENT, client.encoder, *arguments) as process:
        wait_until(
            lambda: has_begun(client) and getattr(client.status, counter) >= before + more,
            f"{counter} did not grow by {more}",
        )
        process.kill()
        assert process.wait() == SIGKILLED, "it ended before it was killed"


def test_publishing_goes_on_while_the_broker_is_away(
    encoder_directory: Path, tmp_path: Path
) -> None:
    broker = EmbeddedBroker(tmp_path / "kafka").start()
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, prefix="away")
    client = Client(kafka, encoder_directory, tmp_path / "outbox")
    data = write_images(tmp_path / "images.npz", 200)
    try:
        with serve(client, tmp_path) as server:
            broker.stop()
            options = ("--data", data, "--json", "--outbox", client.directory)
            command = ("client", "publish", *options)
            with start_client(kafka, CLIENT, encoder_directory, *command) as process:
                wait_until(
                    lambda: has_begun(client) and client.status.queued == 200,
                    "not all are queued",
                )
                broker.start()
                stdout, stderr = process.communicate(timeout=LONG)
            assert process.returncode == 0, stderr
            assert "no Kafka broker answers" in stderr
            assert f"Messages wait in {client.file} until it is back" in stderr
            assert json.loads(stdout)["acknowledged"] == 200
            assert server.count_stored() == 200
    finally:
        broker.stop()


def test_a_broker_that_restarts_in_the_middle_takes_the_rest(
    encoder_directory: Path, tmp_path: Path
) -> None:
    broker = EmbeddedBroker(tmp_path / "kafka").start()
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, prefix="away")
    client = Client(kafka, encoder_directory, tmp_path / "outbox")

    def restart_between() -> Iterator[ImageBatch]:
        yield draw_images(20)
        broker.stop()
        yield draw_images(20, seed=1)
        time.sleep(4)  # longer than the delivery timeout, so that records come back undelivered
        broker.start()
        yield draw_images(20, seed=2)

    try:
        with serve(client, tmp_path) as server:
            report = client.publish(restart_between(), timeout=LONG, delivery_timeout=2)
            assert (report.sent, report.acknowledged, report.waiting) == (60, 60, 0)
            assert server.count_stored() == 60
    finally:
        broker.stop()
