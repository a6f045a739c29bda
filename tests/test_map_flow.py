"""Feature maps go up once, in each packing; the server trains a head of its own and answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.exchanges.learning import publish
from client_autoencoder.exchanges.service import ask
from schemas.vector import Packing
from server_classifier.answering.prediction import Classifier
from server_classifier.heads.registry import HEADS
from server_classifier.heads.settings import TrainingSettings
from server_classifier.operations.monitor import Monitor
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import latest_classifier
from server_classifier.store.database import reading, writing
from server_classifier.store.registry.entries import add_encoder
from server_classifier.versions.trainer import Trainer
from stream.health import Health
from stream.kafka.settings import KafkaSettings
from tests.support.client import CLIENT, ignore, make_maker
from tests.support.encoders import train_exit
from tests.support.images import draw_images
from tests.support.relays import open_relay
from tests.support.server import NOW, RunningServer, run_server
from tests.support.waiting import LONG

ROWS, ASKED = 90, 30


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder.load(train_exit(tmp_path_factory.mktemp("edges") / "edge"))


@pytest.fixture
def server(kafka: str, topic_prefix: str, edge: Encoder, tmp_path: Path) -> Iterator[RunningServer]:
    with run_server(KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix), tmp_path) as run:
        run.register(CLIENT)
        with writing(run.engine) as connection:
            add_encoder(connection, edge.manifest, now=NOW)
        yield run


def train(server: RunningServer, encoder_id: str, head: str) -> Classifier:
    """Let the trainer make a classifier of all that is stored, and return it."""
    training = TrainingSettings(head=head, min_steps=100)
    trainer = Trainer(
        server.engine,
        ServerSettings(train_min_new_rows=ROWS, training=training),
        clock=monotonic,
        now=lambda: datetime.now(UTC),
        stop=Event(),
        monitor=Monitor(Health(monotonic), CollectorRegistry()),
    )
    assert trainer.step()
    with reading(server.engine) as connection:
        row = latest_classifier(connection, encoder_id)
    assert row is not None
    return Classifier.load(row)


@pytest.mark.parametrize("dtype", get_args(Packing))
def test_maps_are_learned_from_and_asked_about(
    server: RunningServer, edge: Encoder, dtype: Packing, tmp_path: Path
) -> None:
    maker = replace(make_maker(edge), dtype=dtype)
    with open_relay(server.kafka, CLIENT, tmp_path) as relay:
        relay.connect(5.0)
        sent = publish([draw_images(ROWS)], maker, relay, timeout=LONG, on_progress=ignore)
    assert (sent.acknowledged, sent.refused) == (ROWS, {})
    classifier = train(server, edge.encoder_id, "auto")
    manifest = classifier.manifest
    assert (manifest.settings["head"], manifest.rows, manifest.latent_dim) == ("conv", ROWS, 32)
    with open_relay(server.kafka, CLIENT, tmp_path, questions=True) as relay:
        asked = [draw_images(ASKED, seed=9)]
        report = ask(asked, maker, relay, timeout=LONG, in_flight=8, on_progress=ignore)
    assert {answer.model_version for answer in report.predictions} == {classifier.version}
    right = [answer.label == answer.true_label for answer in report.predictions]
    assert (len(right), sum(right) >= 0.9 * ASKED) == (ASKED, True)


@pytest.mark.parametrize("head", HEADS)
def test_any_head_answers_about_maps(
    server: RunningServer, edge: Encoder, head: str, tmp_path: Path
) -> None:
    maker = make_maker(edge)
    with open_relay(server.kafka, CLIENT, tmp_path) as relay:
        relay.connect(5.0)
        publish([draw_images(ROWS)], maker, relay, timeout=LONG, on_progress=ignore)
    assert train(server, edge.encoder_id, head).manifest.settings["head"] == head
    with open_relay(server.kafka, CLIENT, tmp_path, questions=True) as relay:
        asked = [draw_images(ASKED, seed=9)]
        report = ask(asked, maker, relay, timeout=LONG, in_flight=8, on_progress=ignore)
    right = [answer.label == answer.true_label for answer in report.predictions]
    assert (len(right), sum(right) >= 0.8 * ASKED) == (ASKED, True)
