"""An exchange that exists only here goes from a client to its handler and back, on a real broker.

Everything about it is in ``consultation``: nothing of the product knows it.
"""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client_autoencoder.outbox.entries import Limits, Settled
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.reading import read_status
from client_autoencoder.outbox.relay import OutboxRelay
from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.answers import Reply
from schemas.wire import json_form
from stream.dead_letters.retry import DeadLetterRetry
from stream.errors import RecordTooLarge
from stream.exchange.codec import decode_request
from stream.exchange.exchanges import EXCHANGES
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.reply_client import ReplyClient
from stream.exchange.topics import Topics
from stream.kafka.drift import find_drift
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.lifetime import bind_to_parent
from tests.stream.exchange.consultation import (
    CONSULTATION,
    Consultation,
    Opinion,
    count_opinions,
)
from tests.support.dead_letters import read_topic
from tests.support.topics import read_new, send_raw
from tests.support.waiting import LONG

CLIENT = "radiology-1"
TABLE = (*EXCHANGES, CONSULTATION)


@pytest.fixture
def topics(topic_prefix: str) -> Topics:
    return Topics(topic_prefix, KafkaSettings().partitions, exchanges=TABLE)


@pytest.fixture
def settings(kafka: str, topics: Topics) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topics.prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    return settings


@pytest.fixture
def relay(settings: KafkaSettings, tmp_path: Path) -> Iterator[OutboxRelay]:
    with (
        Outbox(
            tmp_path / "outbox" / f"{CLIENT}{CONSULTATION.outbox}.db",
            owner=CLIENT,
            limits=Limits(resend=1.0),
            clock=time.time,
            exchanges=TABLE,
        ) as outbox,
        ReplyClient(settings, CLIENT, exchanges=TABLE) as reply_client,
    ):
        opened = OutboxRelay(outbox, reply_client, time.monotonic)
        opened.connect(5.0)
        yield opened


@contextmanager
def consult(settings: KafkaSettings, opinions: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server of the exchange until the block ends."""
    program = "tests.stream.exchange.consultation"
    command = [sys.executable, "-m", program, settings.bootstrap_servers, settings.prefix, opinions]
    process = subprocess.Popen(bind_to_parent([str(word) for word in command]))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ask(topics: Topics, question: str, client_id: str = CLIENT) -> OutgoingRecord:
    message_id = make_message_id(int(time.time() * 1000), secrets.token_bytes(10))
    request = Consultation(client_id, message_id, question)
    return make_record(request, json_form.CONTENT_TYPE, topics)


def put(relay: OutboxRelay, *questions: str) -> list[Settled]:
    """Put questions into the outbox, and return the list of what will have left it."""
    settled: list[Settled] = []
    relay.on_settled = settled.extend
    records = [ask(relay.reply_client.topics, question) for question in questions]
    relay.put(records, list(questions), timeout=1)
    return settled


def test_it_goes_from_client_to_handler_and_back(
    settings: KafkaSettings, relay: OutboxRelay, tmp_path: Path
) -> None:
    settled = put(relay, "a hand", "a head")
    with consult(settings, tmp_path / "opinions.db"):
        assert relay.drain(timeout=LONG)
    answers = {record.name: record.outcome for record in settled}
    assert {name: outcome.reason for name, outcome in answers.items()} == {
        "a hand": "on a hand: rest",
        "a head": "on a head: rest",
    }
    assert all(isinstance(outcome.answer, Opinion) for outcome in answers.values())
    status = read_status(relay.outbox.path)
    assert (status.encoded, status.answered, status.queued, status.delivered) == (2, 2, 0, 0)


def test_killed_between_storing_and_answering_it_is_answered_once(
    settings: KafkaSettings, relay: OutboxRelay, tmp_path: Path
) -> None:
    opinions = tmp_path / "opinions.db"
    settled = put(relay, "a hand")
    (tmp_path / "kill").touch()
    with consult(settings, opinions) as first:
        while first.poll() is None:
            relay.poll(0.1)
        assert first.returncode == -signal.SIGKILL
    assert (count_opinions(opinions), settled) == (1, [])
    with consult(settings, opinions):
        assert relay.drain(timeout=LONG)
    assert [record.outcome.reason for record in settled] == ["on a hand: rest"]
    assert count_opinions(opinions) == 1
    status = read_status(relay.outbox.path)
    assert (status.encoded, status.answered) == (1, 1)


def test_its_topic_is_as_its_row_says(settings: KafkaSettings, topics: Topics) -> None:
    topic = topics.of(CONSULTATION)
    assert (topic.key, topic.partitions, topic.kept) == ("clientID", 2, "24 hours")
    assert topic.config["retention.ms"] == str(24 * 3_600_000)
    assert (topic.limit, topic in topics.shared()) == (100_000, True)
    assert find_drift(settings, [topic]) == []
    with pytest.raises(RecordTooLarge, match="permits 100,000"):
        ask(topics, "x" * 100_000)


def test_its_headers_and_key_are_as_its_row_says(topics: Topics) -> None:
    record = ask(topics, "a hand")
    assert (record.kind, record.key) == ("consultation", CLIENT.encode())
    assert dict(record.headers)[names.KIND] == b"consultation"


def test_an_exchange_that_is_not_in_the_table_is_named(topic_prefix: str) -> None:
    with pytest.raises(SchemaError, match=r"'consultation' is none of learning, service"):
        ask(Topics(topic_prefix), "a hand")


def test_a_body_that_is_too_large_uncompressed_is_refused(topics: Topics) -> None:
    value = b'{"client_id": "%s"}' % (b"x" * 200_000)
    record = Record(topics.of(CONSULTATION).name, 0, 0, 0, None, value, [])
    with pytest.raises(SchemaError, match="200,017 bytes uncompressed, 200,000 are permitted"):
        decode_request(record, CONSULTATION, cluster_id="")


def test_the_answer_of_another_exchange_does_not_end_it(
    settings: KafkaSettings, relay: OutboxRelay
) -> None:
    settled = put(relay, "a hand")
    (entry,) = relay.outbox.read_queued(0, 1, 2**20) or relay.outbox.read_overdue(1, 2**20)
    reply = b"""{"message": {"clientID": "%s", "label": "hand", "timestamp": "2026-11-01 08:00:00",
        "inReplyTo": "%s"}}""" % (CLIENT.encode(), entry.record.message_id.encode())
    replies = relay.reply_client.topics.replies(CLIENT).name
    send_raw(settings.bootstrap_servers, replies, [(reply, [(names.KIND, b"reply")])])
    deadline = time.monotonic() + LONG
    while not (answers := relay.reply_client.poll(0.1).answers):
        assert time.monotonic() < deadline
    assert isinstance(answers[0], Reply)
    outcome = relay._to_outcome(answers[0])  # noqa: SLF001
    assert (outcome.message_id, outcome.kind) == (entry.record.message_id, "answered")
    assert relay.outbox.update([], [outcome]).settled == settled == []


def test_its_dead_letter_is_sent_again_to_its_topic(
    settings: KafkaSettings, topics: Topics, tmp_path: Path
) -> None:
    requests, letters = topics.of(CONSULTATION).name, topics.dead_letters.name
    with read_new(settings.bootstrap_servers, letters) as read_letters:
        send_raw(settings.bootstrap_servers, requests, [(b"junk", [])])
        with consult(settings, tmp_path / "opinions.db"):
            assert len(read_letters(1)) == 1
    retry = DeadLetterRetry(settings, time.time, TABLE)
    report = retry.send([entry.position for entry in retry.find_unsent()])
    assert (len(report.sent), report.refused) == (1, {})
    assert [record.value for record in read_topic(settings, requests)] == [b"junk", b"junk"]
