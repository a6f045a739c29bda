"""A batch of answers that cannot be read: a client passes it, and reads what comes behind it."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from schemas.messages import headers as names
from schemas.messages.answers import Reply
from schemas.wire import json_form
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.exchanges import AnswerMessage
from stream.exchange.replies import ReplyReader
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.broker import kill_broker
from tests.support.damaged_batches import DAMAGES, Damage, send_unreadable
from tests.support.topics import send_raw
from tests.support.waiting import wait_until

CLIENT = "radiology-1"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka")).start()
    yield broker
    kill_broker(broker)


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_client_passes_answers_that_cannot_be_read(
    broker: EmbeddedBroker, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    bootstrap, topics = broker.bootstrap_servers, Topics(f"replies-{damage}")
    settings = KafkaSettings(bootstrap_servers=bootstrap, prefix=topics.prefix)
    topic = topics.replies(CLIENT).name
    create_topics(settings, [topics.replies(CLIENT)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    replies = [Reply(CLIENT, label, now) for label in ("hand", "head", "chest")]
    bodies = [json_form.encode_json(reply) for reply in replies]
    headers = [(names.KIND, b"reply")]
    send_raw(bootstrap, topic, [(bodies[0], headers)])
    size = send_unreadable(bootstrap, broker.directory, topic, [bodies[1]] * 4, damage)
    send_raw(bootstrap, topic, [(bodies[2], headers)])
    reader, answers = ReplyReader(settings, CLIENT, topics), list[AnswerMessage]()

    def read() -> bool:
        answers.extend(reader.read(0.5))
        return len(answers) >= 2

    reader.open(10.0, since=0.0)
    with caplog.at_level(logging.WARNING):
        wait_until(read, "the answers are not read")
    reader.close()
    assert answers == [replies[0], replies[2]]
    assert f"{topic}[0] offsets 1 to {size} cannot be read and are passed over" in caplog.text
