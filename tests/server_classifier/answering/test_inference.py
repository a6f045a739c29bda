"""Several questions at once, answered with one matrix product."""

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from schemas.messages.answers import Reply
from schemas.messages.latent import LatentMessage
from schemas.vector import Vector
from schemas.wire import avro_form
from server_classifier.answering.inference import OUT_OF_REACH
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.perceptron import Perceptron
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit
from server_classifier.store.classifiers import add_classifier
from server_classifier.store.database import writing
from server_classifier.store.latents.training_set import TrainingSet
from server_classifier.versions.trainer import describe_training
from stream.exchange.exchanges import AnswerMessage
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.reply_client import ReplyClient
from stream.kafka.settings import KafkaSettings
from tests.support.server import LATENT_DIM, NOW, RunningServer, run_server
from tests.support.waiting import wait_until

CLIENT = "radiology-1"


def test_what_has_no_finite_answer_spoils_none_of_its_neighbours(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with run_server(settings, tmp_path) as server, ReplyClient(settings, CLIENT) as reply_client:
        server.register(CLIENT)
        version = store_classifier_of_zero(server)
        reply_client.connect(30.0)
        questions = [ask_about(server, value) for value in (0.0, 1.0, 0.0)]
        reply_client.send(questions)
        answers: dict[str | None, AnswerMessage] = {}

        def all_answered() -> bool:
            answers.update(
                {answer.in_reply_to: answer for answer in reply_client.poll(0.1).answers}
            )
            return len(answers) == len(questions)

        wait_until(all_answered, "not all are answered")
    first, far, last = (answers[question.message_id] for question in questions)
    assert isinstance(first, Reply)
    assert isinstance(far, Reply)
    assert isinstance(last, Reply)
    assert (far.label, far.error, far.probabilities) == ("", OUT_OF_REACH, None)
    assert (first.error, first.model_version) == (None, version)
    assert first.label in ("cat", "dog")
    assert first.probabilities == last.probabilities


def store_classifier_of_zero(server: RunningServer) -> str:
    """Store a classifier whose numbers overflow for every latent but zero; return its version."""
    values = np.random.default_rng(0).normal(size=(40, LATENT_DIM)).astype(np.float32)
    targets = np.arange(40) % 2
    training = TrainingSettings(min_steps=1, epochs=1)
    model, report = fit(values, targets, seed=0, settings=training)
    assert isinstance(model, Perceptron)
    model.mean.zero_()
    model.scale.fill_(1e-38)
    with torch.no_grad():
        model.linear[0].weight.mul_(1e10)
    file = export_onnx(model)
    training_set = TrainingSet(values, targets, ("cat", "dog"), last_id=0, available=40, skipped=0)
    manifest = describe_training(server.encoder_id, training_set, report, 0, file)
    with writing(server.engine) as connection:
        return add_classifier(
            connection,
            encoder_id=server.encoder_id,
            onnx=file,
            manifest=manifest.to_json(),
            now=NOW,
        )


def ask_about(server: RunningServer, value: float) -> OutgoingRecord:
    message = LatentMessage(
        CLIENT,
        "",
        Vector.from_numpy(np.full(LATENT_DIM, value, np.float32)),
        "service",
        datetime.now(UTC).replace(microsecond=0),
        make_message_id(int(time.time() * 1000), secrets.token_bytes(10)),
        server.encoder_id,
    )
    return make_record(message, avro_form.CONTENT_TYPE, server.topics)
