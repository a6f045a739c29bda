"""What the local exit is sure of is answered at home; the server is asked about the rest."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client_autoencoder.client import Client
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import InputError
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.artefacts.encoder_files import read_encoder
from stream.kafka.settings import KafkaSettings
from tests.support.client import CLIENT
from tests.support.commands import run_client
from tests.support.encoders import train_encoder, train_exit
from tests.support.images import draw_images, write_class_folders
from tests.support.server import NOW, RunningServer, run_server, train_and_store

UNSEEN = draw_images(60, side=8, seed=5)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_exit(tmp_path_factory.mktemp("edges") / "exit")


@pytest.fixture(scope="module")
def server(
    kafka: str, edge: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server whose classifier answers about the edge's maps."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="exit")
    learned, manifest = draw_images(90, side=8, seed=3), read_encoder(edge).manifest
    values = Encoder.load(edge).encode(learned.images).reshape(90, -1)
    labels = sorted(set(map(str, learned.labels)))
    targets = np.array([labels.index(str(label)) for label in learned.labels])
    with run_server(settings, tmp_path_factory.mktemp("server")) as running:
        running.register(CLIENT)
        with writing(running.engine) as connection:
            add_encoder(connection, manifest, now=NOW)
        train_and_store(running.engine, manifest.network_id, labels, values, targets)
        yield running


@pytest.fixture
def client(server: RunningServer, edge: Path, tmp_path: Path) -> Iterator[Client]:
    with Client(
        bootstrap_servers=server.kafka.bootstrap_servers,
        client_id=CLIENT,
        encoder=edge,
        prefix=server.kafka.prefix,
        outbox=tmp_path / "outbox",
    ) as made:
        yield made


def test_without_an_exit_the_server_is_asked_about_all(client: Client) -> None:
    report = client.ask(UNSEEN.images).report
    assert (report.sent, report.at_home, report.saved_bytes) == (60, 0, 0)
    assert report.complete


@pytest.mark.parametrize(("threshold", "at_home"), [(1e-6, 60), (1.0, 0)])
def test_the_threshold_decides_who_answers(client: Client, threshold: float, at_home: int) -> None:
    report = client.ask(UNSEEN.images, exit_above=threshold).report
    assert (report.at_home, report.sent) == (at_home, 60 - at_home)
    assert report.saved_bytes == at_home * 8 * 2 * 2  # maps of 8x2x2 as int8
    assert report.complete


@pytest.mark.parametrize("threshold", [0.9, "auto"])
def test_sure_answers_come_from_home_and_the_rest_from_the_server(
    client: Client, threshold: float
) -> None:
    answers = client.ask(UNSEEN.images, exit_above=threshold)
    by_home = [answer for answer in answers.report.predictions if answer.at_home]
    asked = [answer for answer in answers.report.predictions if not answer.at_home]
    assert len(by_home) + len(asked) == 60
    assert len(by_home) > 5
    if threshold == 0.9:
        assert len(asked) > 5
        assert min(answer.probability for answer in by_home) >= 0.9
    assert {answer.model_version is None for answer in by_home} == {True}
    assert None not in {answer.model_version for answer in asked}
    assert answers.unanswered == 0
    right = [a == b for a, b in zip(answers.labels, UNSEEN.labels, strict=True)]
    assert np.mean(right) > 0.9
    assert all(abs(sum(row.values()) - 1) < 1e-4 for row in answers.probabilities)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.2, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(client: Client, threshold: float) -> None:
    with pytest.raises(InputError, match="must be a probability above 0, up to 1"):
        client.ask(UNSEEN.images, exit_above=threshold)


def test_an_encoder_without_an_exit_is_refused(server: RunningServer, tmp_path: Path) -> None:
    encoder = train_encoder(tmp_path / "encoder")
    address, outbox = server.kafka.bootstrap_servers, tmp_path / "outbox"
    with (
        Client(
            bootstrap_servers=address, client_id=CLIENT, encoder=encoder, outbox=outbox
        ) as client,
        pytest.raises(InputError, match=r"has no local exit; train one with"),
    ):
        client.ask(UNSEEN.images, exit_above="auto")


def test_the_command_says_what_was_answered_at_home(
    server: RunningServer, edge: Path, tmp_path: Path
) -> None:
    write_class_folders(tmp_path / "images", UNSEEN)
    command = ("client", "ask", "--data", tmp_path / "images", "--exit")
    done = run_client(server.kafka, CLIENT, edge, *command, "0.9")
    assert done.returncode == 0, done.stderr
    assert "answered at home" in done.stdout
    assert "right at home: " in done.stdout
    for wrong, words in (("1.2", "must be a probability above 0"), ("often", "or auto")):
        refused = run_client(server.kafka, CLIENT, edge, *command, wrong)
        assert refused.returncode != 0
        assert words in refused.stderr
