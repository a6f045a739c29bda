"""The wheel and what it requires, nothing else, in a fresh environment and another folder."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.artefacts.encoder_files import read_encoder
from stream.kafka.settings import KafkaSettings
from tests.support.client import CLIENT
from tests.support.distributions import build, copy_project, install_base
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders
from tests.support.server import NOW, RunningServer, run_server, store_classifier

LABELS = ("bar", "ring", "square")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the commands of the environment."""
    copy = copy_project(tmp_path_factory.mktemp("source"))
    wheel = build("wheel", copy, tmp_path_factory.mktemp("wheel"))
    return install_base(wheel, tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def server(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with run_server(settings, tmp_path) as running:
        running.register(CLIENT)
        yield running


def run(
    command: Path, folder: Path, *arguments: object, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [command, *map(str, arguments)],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_client_publishes_and_asks(
    installed: Path, server: RunningServer, tmp_path: Path
) -> None:
    encoder, folder = train_encoder(tmp_path / "encoder"), tmp_path / "elsewhere"
    write_class_folders(folder / "images", draw_images(20))
    manifest = read_encoder(encoder).manifest
    with writing(server.engine) as connection:
        add_encoder(connection, manifest, now=NOW)
    store_classifier(server.engine, manifest.network_id, LABELS, manifest.latent_dim)
    variables = {
        "IOA_KAFKA__BOOTSTRAP_SERVERS": server.kafka.bootstrap_servers,
        "IOA_KAFKA__PREFIX": server.kafka.prefix,
        "IOA_CLIENT__CLIENT_ID": CLIENT,
        "IOA_CLIENT__ENCODER": str(encoder),
    }

    def report(command: str) -> dict[str, object]:
        words = ("client", command, "--data", "images", "--json")
        done = run(installed / "ioa", folder, *words, **variables)
        assert done.returncode == 0, done.stderr
        told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return told

    assert report("publish")["acknowledged"] == server.count_stored() == 20
    predictions = report("ask")["predictions"]
    assert isinstance(predictions, list)
    assert len(predictions) == 20
    assert {prediction["label"] for prediction in predictions} <= set(LABELS)


def test_what_is_not_in_the_base_install_is_named(installed: Path, tmp_path: Path) -> None:
    refused = run(installed / "ioa", tmp_path, "server", "ingest")
    assert refused.returncode == 1
    assert "not installed here: pip install -c constraints.txt '.[server]'" in refused.stderr
    assert run(installed / "python", tmp_path, "-c", "import torch").returncode == 1
