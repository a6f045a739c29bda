"""Answers and dead letters on a real broker."""

import secrets
import time
from datetime import UTC, datetime

from schemas.errors import SchemaError
from schemas.messages.answers import Reply
from stream.dead_letters.writer import DeadLetterWriter
from stream.errors import DeliveryFailed
from stream.exchange.exchanges import SERVICE
from stream.exchange.responder import Responder
from stream.exchange.topics import Topics
from stream.kafka.producer import Publisher
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.dead_letters import read_topic
from tests.support.waiting import wait_until

MESSAGE_ID = "018f4d2e-7c1a-7bcd-8ef0-123456789abc"


def test_after_a_failed_flush_everything_goes_once(kafka: str, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    publisher = Publisher(settings)
    responder = Responder(
        publisher,
        topics,
        dead_letter=DeadLetterWriter(publisher, topics).write,
        clock=time.time,
        random=secrets.token_bytes,
    )
    bad = Record(topics.of(SERVICE).name, 0, 7, 0, None, b"junk", [])
    question = Record(topics.of(SERVICE).name, 0, 8, 0, None, b"{}", [])

    def respond() -> bool:
        responder.dead_letter(bad, SchemaError("is junk"))
        reply = Reply("nobody", "", datetime.now(UTC), MESSAGE_ID, error="no model yet")
        responder.answer(question, reply)
        try:
            responder.flush()
        except DeliveryFailed:
            return False
        return True

    assert not respond()  # neither topic is there
    create_topics(settings, [topics.dead_letters])
    wait_until(respond, "nothing goes")  # the producer remembers for a while that there was none
    values = [record.value for record in read_topic(settings, topics.dead_letters.name)]
    assert values == [b"junk", b"{}"]
