"""A client that only sends needs no right to read, and keeps every message until delivered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from client_autoencoder.client import Client
from client_autoencoder.outbox.reading import read_status
from stream.broker import properties
from stream.broker.embedded import EmbeddedBroker
from stream.errors import StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import read_ranges
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.client import CLIENT
from tests.support.commands import run_client
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders

AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
IMAGES = draw_images(6000, side=8)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """A broker whose only rights are to write to the topic of learning messages."""
    with pytest.MonkeyPatch.context() as patch:
        guarded_properties = properties.SERVER_PROPERTIES + AUTHORIZER
        patch.setattr(properties, "SERVER_PROPERTIES", guarded_properties)
        with EmbeddedBroker(tmp_path_factory.mktemp("guarded")) as broker:
            settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
            topics = Topics(settings.prefix)
            create_topics(settings, [topics.of(LEARNING), topics.replies(CLIENT)])
            admin = AdminClient(settings.client_config())
            rights = [
                permit(topics.of(LEARNING).name, AclOperation.WRITE, AclPermissionType.ALLOW),
                permit(topics.replies(CLIENT).name, AclOperation.ALL, AclPermissionType.DENY),
            ]
            for done in admin.create_acls(rights).values():
                done.result()
            yield settings


def permit(topic: str, operation: AclOperation, permission: AclPermissionType) -> AclBinding:
    everybody, everywhere = "User:*", "*"
    pattern = ResourcePatternType.LITERAL
    kind = ResourceType.TOPIC
    return AclBinding(kind, topic, pattern, everybody, everywhere, operation, permission)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_encoder(tmp_path_factory.mktemp("encoders") / "made")


def make_client(kafka: KafkaSettings, encoder: Path, outbox: Path) -> Client:
    return Client(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=CLIENT,
        encoder=encoder,
        outbox=outbox,
        timeout_seconds=5,
        on_notice=lambda _: None,
    )


def count_records(kafka: KafkaSettings) -> int:
    topic = Topics(kafka.prefix).of(LEARNING)
    admin = AdminClient(kafka.client_config())
    return sum(held.high for held in read_ranges(admin, topic.name, range(topic.partitions)))


def test_six_thousand_images_leave_without_a_right_to_read(
    guarded: KafkaSettings, encoder: Path, tmp_path: Path
) -> None:
    before = count_records(guarded)
    with make_client(guarded, encoder, tmp_path) as client:
        report = client.publish(IMAGES.images, IMAGES.labels, answers=False)
    assert (report.sent, report.delivered, report.acknowledged) == (6000, 6000, 0)
    assert report.complete
    assert report.waiting == 0
    assert count_records(guarded) == before + 6000
    status = read_status(tmp_path / f"{CLIENT}.db")
    assert (status.encoded, status.sent, status.queued, status.delivered) == (6000, 6000, 0, 0)


def test_with_answers_the_missing_right_is_named(
    guarded: KafkaSettings, encoder: Path, tmp_path: Path
) -> None:
    with make_client(guarded, encoder, tmp_path) as client, pytest.raises(StreamError):
        client.publish(IMAGES.images[:3], IMAGES.labels[:3])


def test_messages_wait_on_the_disk_until_a_broker_takes_them(
    guarded: KafkaSettings, encoder: Path, tmp_path: Path
) -> None:
    away = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    with make_client(away, encoder, tmp_path) as client:
        report = client.publish(IMAGES.images[:20], IMAGES.labels[:20], answers=False)
    assert (report.delivered, report.waiting, report.complete) == (0, 20, False)
    before = count_records(guarded)
    with make_client(guarded, encoder, tmp_path) as client:
        report = client.publish(IMAGES.images[:5], IMAGES.labels[:5], answers=False)
    assert (report.earlier, report.delivered, report.waiting) == (20, 5, 0)
    assert count_records(guarded) == before + 25


def test_the_command_says_that_refusals_are_not_seen(
    guarded: KafkaSettings, encoder: Path, tmp_path: Path
) -> None:
    write_class_folders(tmp_path / "images", draw_images(9))
    command = ("client", "publish", "--data", tmp_path / "images", "--no-answers")
    done = run_client(guarded, CLIENT, encoder, *command)
    assert done.returncode == 0, done.stderr
    assert "9 messages were taken by a broker" in done.stdout
    assert "refused them is not seen" in done.stdout
