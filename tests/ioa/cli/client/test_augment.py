"""Augmented images from ``ioa client publish`` to the database, a model and answers."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from sqlalchemy import Row, select

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import read_all
from client_autoencoder.images.sources import open_source
from schemas.messages.validation import check_name
from server_classifier.operations.monitor import open_monitor
from server_classifier.settings import ServerSettings
from server_classifier.store.database import reading, writing
from server_classifier.store.registry.entries import add_encoder
from server_classifier.store.tables import latent
from server_classifier.versions.trainer import Trainer
from stream.artefacts.encoder_files import read_encoder
from stream.kafka.settings import KafkaSettings
from tests.support.commands import Ran, run_client
from tests.support.encoders import train_encoder
from tests.support.images import CLASSES, draw_images, write_class_folders
from tests.support.server import NOW, RunningServer, run_server

CLIENT = "radiology-1"


@pytest.fixture(scope="module")
def server(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="augment")
    with run_server(settings, tmp_path_factory.mktemp("server")) as running:
        running.register(CLIENT)
        yield running


@pytest.fixture(scope="module")
def encoder(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = train_encoder(tmp_path_factory.mktemp("encoders") / "made")
    with writing(server.engine) as connection:
        add_encoder(connection, read_encoder(directory).manifest, now=NOW)
    return directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_class_folders(tmp_path / "images", draw_images(12))
    return tmp_path / "images"


def publish(server: RunningServer, encoder: Path, folder: Path, *arguments: str) -> Ran:
    result = run_client(
        server.kafka, CLIENT, encoder, "client", "publish", "--data", folder, *arguments
    )
    assert result.returncode == 0, result.stderr
    return result


def read_newest(server: RunningServer, count: int) -> Sequence[Row[tuple[object, ...]]]:
    with reading(server.engine) as connection:
        newest = select(latent).order_by(latent.c.id.desc()).limit(count)
        return connection.execute(newest).all()


def test_copies_are_stored_under_the_id_of_their_image(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    before = server.count_stored()
    result = publish(server, encoder, folder, "--augment", "2", "--dtype", "float32", "--json")
    report = json.loads(result.stdout)
    assert (report["images"], report["sent"], report["acknowledged"]) == (12, 36, 36)
    assert server.count_stored() == before + 36
    rows = read_newest(server, 36)
    assert {row.dtype for row in rows} == {"float32"}
    assert sorted(Counter(row.image_id for row in rows).values()) == [3] * 12
    assert len({(row.image_id, row.label) for row in rows}) == 12
    for row in rows:
        check_name("imageID", row.image_id)
    images = read_all(open_source(str(folder)), []).images
    originals = {latents.tobytes() for latents in Encoder.load(encoder).encode(images)}
    assert originals < {row.value for row in rows}


def test_a_seed_repeats_the_copies_but_never_an_image_id(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    for _ in range(2):
        publish(server, encoder, folder, "--augment", "1", "--seed", "3", "--dtype", "float32")
    rows = read_newest(server, 48)
    assert {row.value for row in rows[:24]} == {row.value for row in rows[24:]}
    assert len({row.image_id for row in rows}) == 24
    publish(server, encoder, folder, "--augment", "1", "--seed", "4", "--dtype", "float32")
    assert {row.value for row in read_newest(server, 24)} != {row.value for row in rows}


def test_images_and_messages_are_told_apart(
    server: RunningServer, encoder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = publish(server, encoder, folder, "--augment", "3")
    assert result.stdout == (
        "sent 48 messages of 12 images, acknowledged 48, refused 0, unanswered 0, skipped 0; "
        "6 bytes a latent\n"
    )
    monkeypatch.setenv("IOA_CLIENT__DTYPE", "float32")
    result = publish(server, encoder, folder)
    assert result.stdout.startswith("sent 12, acknowledged 12,")
    assert result.stdout.endswith("; 24 bytes a latent\n")
    assert {row.image_id for row in read_newest(server, 12)} == {None}


def test_too_many_bad_images_are_counted_against_images(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    (folder / "bar" / "0000.png").write_bytes(b"")
    arguments = ("client", "publish", "--data", folder, "--augment", "9", "--max-skip", "0.05")
    result = run_client(server.kafka, CLIENT, encoder, *arguments)
    assert result.returncode == 3
    assert "sent 110 messages of 11 images, acknowledged 110," in result.stdout


def test_refused_messages_add_up_and_their_image_is_listed_once(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    stranger = train_encoder(tmp_path / "other", latent_dim=3)
    arguments = ("client", "publish", "--data", folder, "--limit", "1", "--augment", "2")
    result = run_client(server.kafka, CLIENT, stranger, *arguments)
    assert result.returncode == 1
    assert "sent 3 messages of 1 images, acknowledged 0, refused 3," in result.stdout
    assert result.stderr.count("refused: ") == 1


def test_a_float32_question_is_answered_with_all_probabilities(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    publish(server, encoder, folder, "--augment", "2", "--dtype", "float32")
    settings = ServerSettings(train_min_new_rows=1)
    with open_monitor(None) as monitor:
        trainer = Trainer(
            server.engine,
            settings,
            clock=monotonic,
            now=lambda: NOW,
            stop=Event(),
            monitor=monitor,
        )
        assert trainer.step()
    command = ("client", "ask", "--data", folder, "--dtype", "float32", "--json")
    result = run_client(server.kafka, CLIENT, encoder, *command)
    assert result.returncode == 0, result.stderr
    predictions = json.loads(result.stdout)["predictions"]
    assert len(predictions) == 12
    assert sum(answer["label"] == answer["true_label"] for answer in predictions) >= 10
    for answer in predictions:
        assert set(answer["probabilities"]) == set(CLASSES)
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert answer["probability"] == answer["probabilities"][answer["label"]]
        assert answer["probability"] == max(answer["probabilities"].values())
