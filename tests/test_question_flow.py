"""No question is lost between the client's disk and its answer, and each gets an outcome."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message as KafkaMessage

from client_autoencoder.errors import OutboxError, OutboxFull
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.reading import list_waiting, read_status
from client_autoencoder.outbox.relay import OutboxRelay
from server_classifier.answering.inference import NO_MODEL
from stream.exchange.exchanges import SERVICE
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.client import CLIENT, Client, has_begun, serve
from tests.support.commands import start_client
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders
from tests.support.relays import open_relay
from tests.support.topics import read_all, send_raw
from tests.support.waiting import LONG, wait_until


@pytest.fixture(scope="module")
def encoder_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_encoder(tmp_path_factory.mktemp("encoders") / "made")


@pytest.fixture
def client(kafka: str, topic_prefix: str, encoder_directory: Path, tmp_path: Path) -> Client:
    """A client whose topics exist, while no server reads them."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    return Client(settings, encoder_directory, tmp_path / "outbox")


@pytest.fixture
def relay(client: Client) -> Iterator[OutboxRelay]:
    limits = Limits(resend=0.1)
    with open_relay(
        client.kafka, CLIENT, client.directory, limits=limits, questions=True
    ) as opened:
        opened.connect(5.0)
        yield opened


def make_questions(client: Client, count: int, *, seconds: float) -> list[OutgoingRecord]:
    maker = client.make_maker()
    return [
        make_record(
            message,
            maker.form,
            Topics(client.kafka.prefix),
            deadline=time.time() + seconds,
        )
        for message in maker.make(draw_images(count), "service")
    ]


def reply(client: Client, message_id: str, *labels: str) -> None:
    """Write one reply for each label, as a server does."""
    fields = {"clientID": CLIENT, "timestamp": "2026-01-01 00:00:00", "inReplyTo": message_id}
    bodies = [json.dumps({"message": fields | {"label": label}}).encode() for label in labels]
    send_raw(
        client.kafka.bootstrap_servers,
        Topics(client.kafka.prefix).replies(CLIENT).name,
        [(body, [("ioa-kind", b"reply")]) for body in bodies],
    )


def read_asked(client: Client) -> list[KafkaMessage]:
    """Return all records on the service topic."""
    return read_all(client.kafka.bootstrap_servers, Topics(client.kafka.prefix).of(SERVICE).name)


def test_an_answered_question_leaves_the_outbox_and_is_remembered(
    client: Client, tmp_path: Path
) -> None:
    with serve(client, tmp_path):
        report = client.ask(draw_images(20), timeout=LONG, in_flight=3)
    assert (report.sent, len(report.predictions), report.expired) == (20, 20, [])
    assert [prediction.error for prediction in report.predictions] == [NO_MODEL] * 20
    assert sorted(prediction.name for prediction in report.predictions) == sorted(
        draw_images(20).names
    )
    status = read_status(client.questions)
    assert (status.encoded, status.answered, status.queued, status.delivered) == (20, 20, 0, 0)
    assert {answer.name for answer in status.answers} == set(draw_images(20).names)


def test_questions_that_nobody_answers_expire_by_name_and_asking_ends(client: Client) -> None:
    report = client.ask(draw_images(9), timeout=1.0, in_flight=2)
    assert (report.sent, report.predictions, report.stopped) == (2, [], True)
    assert report.expired == ["made[0]", "made[1]"]
    status = read_status(client.questions)
    assert (status.encoded, status.expired, status.queued, status.delivered) == (2, 2, 0, 0)
    assert [question.name for question in status.expired_questions] == ["made[1]", "made[0]"]


def test_a_question_without_a_reply_is_asked_again_in_the_same_bytes(
    client: Client, relay: OutboxRelay
) -> None:
    relay.put(make_questions(client, 1, seconds=60), ["a"], timeout=1)
    while read_status(client.questions).resent == 0:
        relay.poll(0.1)
    first, second = read_asked(client)[:2]
    assert (first.key(), first.value()) == (second.key(), second.value())
    assert first.headers() == second.headers()
    assert dict(first.headers())["ioa-deadline"].isdigit()


def test_questions_that_the_full_outbox_refused_are_not_sent(client: Client) -> None:
    questions = make_questions(client, 2, seconds=60)
    limits = Limits(size=questions[0].size)
    with open_relay(client.kafka, CLIENT, client.directory, limits=limits, questions=True) as relay:
        relay.connect(5.0)
        with pytest.raises(OutboxFull):
            relay.put(questions, ["a", "b"], timeout=0.1)
        relay.put(questions[:1], ["a"], timeout=0.1)
        while relay.outbox.counts.delivered == 0:
            relay.poll(0.1)
    assert [record.key().decode() for record in read_asked(client)] == [questions[0].message_id]


def test_waiting_questions_are_sent_before_new_ones(client: Client) -> None:
    questions = make_questions(client, 3, seconds=60)
    with open_relay(client.kafka, CLIENT, client.directory, questions=True) as away:
        away.put(questions[:2], ["a", "b"], timeout=1)
    with open_relay(client.kafka, CLIENT, client.directory, questions=True) as relay:
        relay.connect(5.0)
        relay.put(questions[2:], ["c"], timeout=1)

        def all_delivered() -> bool:
            relay.poll(0.1)
            return relay.outbox.counts.delivered == 3

        wait_until(all_delivered, "not all are delivered")
    asked = {record.key().decode() for record in read_asked(client)}
    assert asked == {question.message_id for question in questions}


def test_a_second_answer_is_dropped(client: Client, relay: OutboxRelay) -> None:
    labels: list[str] = []
    relay.on_settled = lambda settled: labels.extend(entry.outcome.reason for entry in settled)
    first, second = make_questions(client, 2, seconds=60)
    relay.put([first, second], ["first", "second"], timeout=1)
    reply(client, first.message_id, "ring", "bar")
    reply(client, second.message_id, "square")
    relay.drain(timeout=LONG)
    assert labels == ["ring", "square"]
    status = read_status(client.questions)
    assert (status.answered, status.queued, status.delivered) == (2, 0, 0)
    assert [(answer.name, answer.reason) for answer in status.answers] == [
        ("second", "square"),
        ("first", "ring"),
    ]


def test_a_killed_client_gets_its_answers_by_draining(client: Client, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", draw_images(6))
    kill_while_asking(client, tmp_path / "images")
    waiting = {entry["name"]: entry["message_id"] for entry in list_waiting(client.questions)}
    assert len(waiting) == 4
    for name, message_id in waiting.items():
        reply(client, message_id, Path(name).parent.name)
    result = client.run("outbox", "drain", "--json")
    assert result.returncode == 0, result.stderr
    predictions = json.loads(result.stdout)["predictions"]
    answered = {prediction["name"]: prediction["label"] for prediction in predictions}
    assert answered == {name: Path(name).parent.name for name in waiting}
    assert (client.status.answered, client.status.resent) == (4, 0)
    again = client.run("outbox", "drain")
    assert again.stdout == f"nothing was answered; 0 wait in {client.directory}\n"


def test_a_killed_client_goes_on_with_the_next_question(client: Client, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", draw_images(6))
    kill_while_asking(client, tmp_path / "images")
    with serve(client, tmp_path):
        report = client.ask(draw_images(1), timeout=LONG)
    assert [prediction.name for prediction in report.predictions] == ["made[0]"]
    assert [prediction.error for prediction in report.earlier] == [NO_MODEL] * 4
    assert client.status.answered == 5


def kill_while_asking(client: Client, images: Path) -> None:
    """Kill `ioa client ask` once four questions are delivered."""
    options = ("--data", images, "--in-flight", "4", "--outbox", client.directory)
    command = ("client", "ask", *options)
    with start_client(client.kafka, CLIENT, client.encoder, *command) as process:
        wait_until(
            lambda: has_begun(client) and client.status.delivered == 4, "not all are delivered"
        )
        process.kill()
        assert process.wait() == -signal.SIGKILL


def test_asking_and_publishing_at_the_same_time(client: Client, tmp_path: Path) -> None:
    with (
        serve(client, tmp_path),
        open_relay(client.kafka, CLIENT, client.directory),
    ):
        report = client.ask(draw_images(1), timeout=LONG)
    assert len(report.predictions) == 1


def test_questions_for_one_cluster_are_not_sent_to_another(client: Client) -> None:
    with open_relay(client.kafka, CLIENT, client.directory, questions=True) as relay:
        relay.outbox.bind("another-cluster")
        relay.put(make_questions(client, 1, seconds=60), ["a"], timeout=1)
        with pytest.raises(OutboxError, match="1 messages for Kafka cluster another-cluster"):
            relay.poll(0)
