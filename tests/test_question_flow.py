"""No question is lost on the way from the client's disk to the answer, and none is silent."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from client_autoencoder.errors import OutboxError, OutboxFull
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.reading import list_waiting, read_status
from client_autoencoder.outbox.relay import OutboxRelay
from server_classifier.answering.inference import NO_MODEL
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import Topics, create_topics
from tests.support.commands import start_client
from tests.support.encoders import train_encoder
from tests.support.hospital import CLIENT, Hospital, has_begun, serve
from tests.support.images import draw_images, write_class_folders
from tests.support.relays import open_relay
from tests.support.topics import send_raw
from tests.support.waiting import LONG, wait_until


@pytest.fixture(scope="module")
def encoder_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_encoder(tmp_path_factory.mktemp("encoders") / "made")


@pytest.fixture
def hospital(kafka: str, topic_prefix: str, encoder_directory: Path, tmp_path: Path) -> Hospital:
    """A client that is registered where no server runs."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    return Hospital(settings, encoder_directory, tmp_path / "outbox")


@pytest.fixture
def relay(hospital: Hospital) -> Iterator[OutboxRelay]:
    limits = Limits(resend=0.1)
    with open_relay(
        hospital.kafka, CLIENT, hospital.directory, limits=limits, questions=True
    ) as opened:
        opened.connect(5.0)
        yield opened


def make_questions(hospital: Hospital, count: int, *, seconds: float) -> list[OutgoingRecord]:
    maker = hospital.make_maker()
    return [
        make_record(
            message,
            maker.form,
            Topics(hospital.kafka.prefix),
            deadline=time.time() + seconds,
        )
        for message in maker.make(draw_images(count), "service")
    ]


def reply(hospital: Hospital, message_id: str, *labels: str) -> None:
    """Answer as a server would, once with each label."""
    fields = {"clientID": CLIENT, "timestamp": "2026-01-01 00:00:00", "inReplyTo": message_id}
    bodies = [json.dumps({"message": fields | {"label": label}}).encode() for label in labels]
    send_raw(
        hospital.kafka.bootstrap_servers,
        Topics(hospital.kafka.prefix).replies(CLIENT).name,
        [(body, [("ioa-kind", b"reply")]) for body in bodies],
    )


def read_asked(hospital: Hospital) -> list[KafkaMessage]:
    """Return all records on the service topic."""
    topic = Topics(hospital.kafka.prefix).service
    consumer = Consumer({"bootstrap.servers": hospital.kafka.bootstrap_servers, "group.id": "test"})
    parts = [TopicPartition(topic.name, part, 0) for part in range(topic.partitions)]
    count = sum(consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts)
    consumer.assign(parts)
    found: list[KafkaMessage] = []
    while len(found) < count:
        found += consumer.consume(count, 1.0)
    consumer.close()
    return found


def test_an_answered_question_leaves_the_outbox_and_is_remembered(
    hospital: Hospital, tmp_path: Path
) -> None:
    with serve(hospital, tmp_path):
        report = hospital.ask(draw_images(20), timeout=LONG, in_flight=3)
    assert (report.sent, len(report.predictions), report.expired) == (20, 20, [])
    assert [one.error for one in report.predictions] == [NO_MODEL] * 20
    assert sorted(one.name for one in report.predictions) == sorted(draw_images(20).names)
    status = read_status(hospital.questions)
    assert (status.encoded, status.answered, status.queued, status.delivered) == (20, 20, 0, 0)
    assert {one.name for one in status.answers} == set(draw_images(20).names)


def test_questions_that_nobody_answers_expire_by_name_and_asking_ends(hospital: Hospital) -> None:
    report = hospital.ask(draw_images(9), timeout=1.0, in_flight=2)
    assert (report.sent, report.predictions, report.stopped) == (2, [], True)
    assert report.expired == ["made[0]", "made[1]"]
    status = read_status(hospital.questions)
    assert (status.encoded, status.expired, status.queued, status.delivered) == (2, 2, 0, 0)
    assert [one.name for one in status.expired_questions] == ["made[1]", "made[0]"]


def test_a_question_without_a_reply_is_asked_again_in_the_same_bytes(
    hospital: Hospital, relay: OutboxRelay
) -> None:
    relay.put(make_questions(hospital, 1, seconds=60), ["a"], timeout=1)
    while read_status(hospital.questions).resent == 0:
        relay.poll(0.1)
    first, second = read_asked(hospital)[:2]
    assert (first.key(), first.value()) == (second.key(), second.value())
    assert first.headers() == second.headers()
    assert dict(first.headers())["ioa-deadline"].isdigit()


def test_what_the_disk_did_not_take_is_not_sent(hospital: Hospital) -> None:
    letters = make_questions(hospital, 2, seconds=60)
    limits = Limits(size=letters[0].size)
    with open_relay(
        hospital.kafka, CLIENT, hospital.directory, limits=limits, questions=True
    ) as relay:
        relay.connect(5.0)
        with pytest.raises(OutboxFull):
            relay.put(letters, ["a", "b"], timeout=0.1)
        relay.put(letters[:1], ["a"], timeout=0.1)
        while relay.outbox.counts.delivered == 0:
            relay.poll(0.1)
    assert [record.key().decode() for record in read_asked(hospital)] == [letters[0].message_id]


def test_what_waited_is_not_passed_over_by_what_is_new(hospital: Hospital) -> None:
    letters = make_questions(hospital, 3, seconds=60)
    with open_relay(hospital.kafka, CLIENT, hospital.directory, questions=True) as away:
        away.put(letters[:2], ["a", "b"], timeout=1)
    with open_relay(hospital.kafka, CLIENT, hospital.directory, questions=True) as relay:
        relay.connect(5.0)
        relay.put(letters[2:], ["c"], timeout=1)

        def all_delivered() -> bool:
            relay.poll(0.1)
            return relay.outbox.counts.delivered == 3

        wait_until(all_delivered, "not all are delivered")
    asked = {record.key().decode() for record in read_asked(hospital)}
    assert asked == {letter.message_id for letter in letters}


def test_a_second_answer_is_dropped(hospital: Hospital, relay: OutboxRelay) -> None:
    labels: list[str] = []
    relay.on_settled = lambda settled: labels.extend(one.outcome.text for one in settled)
    one, other = make_questions(hospital, 2, seconds=60)
    relay.put([one, other], ["one", "other"], timeout=1)
    reply(hospital, one.message_id, "ring", "bar")
    reply(hospital, other.message_id, "square")
    relay.drain(timeout=LONG)
    assert labels == ["ring", "square"]
    status = read_status(hospital.questions)
    assert (status.answered, status.queued, status.delivered) == (2, 0, 0)
    assert [(one.name, one.reason) for one in status.answers] == [
        ("other", "square"),
        ("one", "ring"),
    ]


def test_a_killed_client_gets_its_answers_by_draining(hospital: Hospital, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", draw_images(6))
    kill_while_asking(hospital, tmp_path / "images")
    waiting = {row["name"]: row["message_id"] for row in list_waiting(hospital.questions)}
    assert len(waiting) == 4
    for name, message_id in waiting.items():
        reply(hospital, message_id, Path(name).parent.name)
    result = hospital.run("outbox", "drain", "--json")
    assert result.returncode == 0, result.stderr
    answered = {one["name"]: one["label"] for one in json.loads(result.stdout)["predictions"]}
    assert answered == {name: Path(name).parent.name for name in waiting}
    assert (hospital.status.answered, hospital.status.resent) == (4, 0)
    again = hospital.run("outbox", "drain")
    assert again.stdout == f"nothing was answered; 0 wait in {hospital.directory}\n"


def test_a_killed_client_goes_on_with_the_next_question(hospital: Hospital, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", draw_images(6))
    kill_while_asking(hospital, tmp_path / "images")
    with serve(hospital, tmp_path):
        report = hospital.ask(draw_images(1), timeout=LONG)
    assert [one.name for one in report.predictions] == ["made[0]"]
    assert [one.error for one in report.earlier] == [NO_MODEL] * 4
    assert hospital.status.answered == 5


def kill_while_asking(hospital: Hospital, images: Path) -> None:
    """Kill `ioa client ask` once four questions are delivered."""
    arguments = ("ask", "--data", images, "--in-flight", "4", "--outbox", hospital.directory)
    with start_client(hospital.kafka, CLIENT, hospital.encoder, *arguments) as process:
        wait_until(
            lambda: has_begun(hospital) and hospital.status.delivered == 4, "not all are delivered"
        )
        process.kill()
        assert process.wait() == -signal.SIGKILL


def test_asking_and_publishing_at_the_same_time(hospital: Hospital, tmp_path: Path) -> None:
    with (
        serve(hospital, tmp_path),
        open_relay(hospital.kafka, CLIENT, hospital.directory),
    ):
        report = hospital.ask(draw_images(1), timeout=LONG)
    assert len(report.predictions) == 1


def test_what_waits_for_one_cluster_is_not_sent_to_another(hospital: Hospital) -> None:
    with open_relay(hospital.kafka, CLIENT, hospital.directory, questions=True) as relay:
        relay.outbox.bind("another-cluster")
        relay.put(make_questions(hospital, 1, seconds=60), ["a"], timeout=1)
        with pytest.raises(OutboxError, match="1 messages for Kafka cluster another-cluster"):
            relay.poll(0)
