"""From images to answers through the client and the server, on a real broker."""

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientError
from client_autoencoder.exchanges.learning import LearningReport, check_labels, publish
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.exchanges.service import ask
from client_autoencoder.images.arrays import ArraySource
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.privacy.mechanism import GaussianMechanism
from schemas.messages import headers
from schemas.messages.answers import Reply
from schemas.messages.latent import LatentMessage
from schemas.quantiser import quantise
from schemas.vector import Vector
from schemas.wire import avro_form, json_form
from server_classifier.answering.inference import NO_MODEL
from server_classifier.store.database import reading, writing
from server_classifier.store.registry.entries import add_encoder
from server_classifier.store.tables import latent
from stream.errors import TopicMissing
from stream.exchange.exchanges import SERVICE
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.reply_client import ReplyClient
from stream.exchange.topics import Topics
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.client import CLIENT, ignore, make_maker
from tests.support.encoders import train_encoder
from tests.support.images import draw_images
from tests.support.relays import open_relay
from tests.support.server import NOW, RunningServer, add_trained_classifier, run_server
from tests.support.topics import read_new, send_raw
from tests.support.waiting import LONG


@pytest.fixture(scope="module")
def server(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="flow")
    with run_server(settings, tmp_path_factory.mktemp("server")) as running:
        running.register(CLIENT)
        yield running


@pytest.fixture(scope="module")
def encoder(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    loaded = Encoder.load(train_encoder(tmp_path_factory.mktemp("encoders") / "made"))
    with writing(server.engine) as connection:
        add_encoder(connection, loaded.manifest, now=NOW)
    return loaded


def exchange(server: RunningServer, question: OutgoingRecord) -> Reply:
    """Send a question and return its reply."""
    with ReplyClient(server.kafka, CLIENT) as reply_client:
        reply_client.connect(5.0)
        reply_client.send([question])
        while not (answers := reply_client.poll(1.0).answers):
            pass
    assert isinstance(answers[0], Reply)
    return answers[0]


def learn(
    kafka: KafkaSettings,
    maker: MessageMaker,
    batch: ImageBatch,
    directory: Path,
    timeout: float = 20,
) -> LearningReport:
    with open_relay(kafka, CLIENT, directory) as relay:
        relay.connect(5.0)
        return publish([batch], maker, relay, timeout=timeout, on_progress=ignore)


@pytest.mark.parametrize("form", [avro_form.CONTENT_TYPE, json_form.CONTENT_TYPE])
def test_images_are_stored_as_int8_latents_and_acknowledged(
    server: RunningServer, encoder: Encoder, form: str, tmp_path: Path
) -> None:
    batch = draw_images(30, side=8, seed=5)
    before = server.count_stored()
    report = learn(server.kafka, make_maker(encoder, form=form), batch, tmp_path)
    assert (report.sent, report.acknowledged, report.unanswered) == (30, 30, [])
    assert server.count_stored() == before + 30
    with reading(server.engine) as connection:
        newest = select(latent).order_by(latent.c.id.desc()).limit(30)
        rows = connection.execute(newest).all()
    low, high = encoder.manifest.output.low, encoder.manifest.output.high
    codes = quantise(encoder.encode(batch.images), low, high)
    assert {row.value for row in rows} == {code.tobytes() for code in codes}
    assert {(row.dtype, row.site, row.client_id) for row in rows} == {("int8", "st-mary", CLIENT)}
    assert sorted(row.label for row in rows) == sorted(str(label) for label in batch.labels)


def test_noised_latents_say_so_and_stay_float32(
    server: RunningServer, encoder: Encoder, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).standard_normal
    mechanism = GaussianMechanism(epsilon=4.0, delta=1e-5, clip=1.0, noise=noise)
    report = learn(server.kafka, make_maker(encoder, mechanism), draw_images(1), tmp_path)
    assert report.acknowledged == 1
    with reading(server.engine) as connection:
        row = connection.execute(select(latent).order_by(latent.c.id.desc())).first()
    assert row is not None
    assert row.dtype == "float32"
    assert '"mechanism":"gaussian","guarantee":false' in row.privacy
    assert '"epsilon":4.0' in row.privacy


def test_a_noised_question_is_refused_with_advice(
    server: RunningServer, encoder: Encoder, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).standard_normal
    mechanism = GaussianMechanism(epsilon=8.0, delta=1e-5, clip=1.0, noise=noise)
    maker = make_maker(encoder, mechanism)
    with (
        open_relay(server.kafka, CLIENT, tmp_path) as relay,
        pytest.raises(ClientError, match="without a mechanism"),
    ):
        ask([draw_images(1)], maker, relay, timeout=1, in_flight=1, on_progress=ignore)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (None, r"made\[0\] has no label"),
        ("chest ", r"made\[0\]: its label: 'chest ' begins or ends"),
    ],
)
def test_labels_are_checked_before_anything_is_sent(label: str | None, words: str) -> None:
    source = ArraySource("made", np.zeros((1, 8, 8), np.float32), [label], white=1.0)
    with pytest.raises(ClientError, match=words.replace("made", "images")):
        check_labels(source, [0])


def test_the_answer_before_the_first_model_is_an_error_at_once(
    server: RunningServer, encoder: Encoder, tmp_path: Path
) -> None:
    with open_relay(server.kafka, CLIENT, tmp_path) as relay:
        maker = make_maker(encoder)
        report = ask([draw_images(3)], maker, relay, timeout=LONG, in_flight=2, on_progress=ignore)
    assert [prediction.error for prediction in report.predictions] == [NO_MODEL] * 3
    assert report.answered == []


def test_a_reply_names_label_probabilities_and_version(server: RunningServer) -> None:
    version = add_trained_classifier(server, ("chest", "hand", "head"))
    value = Vector.from_numpy(np.array([0.1, -0.1, 1.5, 0.2], np.float32))
    message_id = make_message_id(int(time.time() * 1000), secrets.token_bytes(10))
    message = LatentMessage(
        CLIENT, "", value, "service", datetime.now(UTC), message_id, server.encoder_id
    )
    reply = exchange(server, make_record(message, avro_form.CONTENT_TYPE, server.topics))
    assert (reply.label, reply.model_version, reply.encoder_id) == (
        "head",
        version,
        server.encoder_id,
    )
    assert reply.in_reply_to == message_id
    assert reply.probabilities is not None
    assert max(reply.probabilities, key=reply.probabilities.__getitem__) == "head"
    assert sum(reply.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert (reply.error, reply.abstained) == (None, False)


def test_replies_that_are_no_answer_to_the_client_are_skipped(
    server: RunningServer, encoder: Encoder, tmp_path: Path
) -> None:
    foreign = (
        b'{"message":{"clientID":"radiology-1","label":"x","timestamp":"2026-01-01 00:00:00",'
        b'"inReplyTo":"018f4d2e-7c1a-7bcd-8ef0-123456789abc"}}'
    )
    kind = [("ioa-kind", b"acknowledgement")]
    replies = server.topics.replies(CLIENT).name
    with open_relay(server.kafka, CLIENT, tmp_path) as relay:
        relay.connect(5.0)
        send_raw(server.kafka.bootstrap_servers, replies, [(b"junk", []), (foreign, kind)])
        maker = make_maker(encoder)
        report = publish([draw_images(2)], maker, relay, timeout=LONG, on_progress=ignore)
    assert (report.sent, report.acknowledged) == (2, 2)


def make_question(server: RunningServer, *, seconds_left: float) -> OutgoingRecord:
    value = Vector.from_numpy(np.zeros(4, np.float32))
    message_id = make_message_id(int(time.time() * 1000), secrets.token_bytes(10))
    message = LatentMessage(
        CLIENT, "", value, "service", datetime.now(UTC), message_id, server.encoder_id
    )
    deadline = time.time() + seconds_left
    return make_record(message, json_form.CONTENT_TYPE, server.topics, deadline=deadline)


def test_a_question_after_its_deadline_is_counted_and_not_answered(server: RunningServer) -> None:
    kafka, questions = server.kafka.bootstrap_servers, server.topics.of(SERVICE).name
    server.infer.wait_until_ready()
    before = count_expired(server)
    expired, first, last = (
        make_question(server, seconds_left=seconds) for seconds in (-5, 600, 600)
    )
    with read_new(kafka, server.topics.replies(CLIENT).name) as read:
        send_raw(
            kafka, questions, [(question.value, question.headers) for question in (expired, first)]
        )
        replies = read(1)
        # The expired question has been handled by now: its answer would come before the next.
        send_raw(kafka, questions, [(last.value, last.headers)])
        replies += read(1)
    answered = [Record.from_kafka(reply).header(headers.CORRELATION_ID) for reply in replies]
    assert answered == [first.message_id, last.message_id]
    assert count_expired(server) == before + 1


def count_expired(server: RunningServer) -> float:
    return server.infer.metric("ioa_service_messages_total", outcome="expired")


def test_without_a_server_the_report_names_what_is_unanswered(
    kafka: str, topic_prefix: str, encoder: Encoder, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    report = learn(settings, make_maker(encoder), draw_images(2), tmp_path, timeout=0.5)
    assert (report.sent, report.acknowledged) == (2, 0)
    assert report.unanswered == ["made[0]", "made[1]"]


def test_an_unregistered_client_is_told_whom_to_ask(server: RunningServer) -> None:
    with (
        ReplyClient(server.kafka, "stranger") as reply_client,
        pytest.raises(TopicMissing, match="ioa client add stranger --site SITE"),
    ):
        reply_client.connect(5.0)
