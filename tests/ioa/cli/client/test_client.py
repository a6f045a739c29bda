"""``ioa client`` as a person types it, against running services."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.artefacts.encoder_files import read_encoder
from stream.kafka.settings import KafkaSettings
from tests.support.commands import Ran, run_client
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders
from tests.support.server import NOW, RunningServer, run_server

CLIENT = "radiology-1"


@pytest.fixture(scope="module")
def server(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="clientcli")
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
    """Twenty images of which one is truncated."""
    paths = write_class_folders(tmp_path / "images", draw_images(20))
    paths[3].write_bytes(paths[3].read_bytes()[:40])
    return tmp_path / "images"


def run(server: RunningServer, encoder: Path, *arguments: object) -> Ran:
    return run_client(server.kafka, CLIENT, encoder, "client", *arguments)


def test_one_bad_image_is_skipped_listed_and_counted(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    result = run(server, encoder, "publish", "--data", folder, "--json", "--max-skip", "0.05")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["sent"], report["acknowledged"], report["refused"]) == (19, 19, {})
    (skipped,) = report["skipped"]
    assert skipped["name"].endswith("bar/0003.png")
    assert f"skipped: {skipped['name']}: {skipped['reason']}" in result.stderr


def test_too_many_bad_images_are_exit_code_3(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    result = run(server, encoder, "publish", "--data", folder)
    assert result.returncode == 3
    assert "sent 19, acknowledged 19, refused 0, unanswered 0, skipped 1" in result.stdout


def test_a_question_without_a_model_says_so_per_image(
    server: RunningServer, encoder: Path, folder: Path
) -> None:
    result = run(server, encoder, "ask", "--data", folder / "ring" / "0001.png")
    assert result.returncode == 1
    assert "0001.png: no answer: no model yet" in result.stdout


def test_a_refused_message_is_listed_with_its_reason(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    stranger = train_encoder(tmp_path / "other", latent_dim=3)
    result = run(server, stranger, "publish", "--data", folder, "--limit", "1")
    assert result.returncode == 1
    assert "refused: " in result.stderr
    assert "ioa encoder add" in result.stderr
    assert "sent 1, acknowledged 0, refused 1" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--mechanism", "gaussian"], 2, "needs --epsilon, --delta and --clip"),
        (["--epsilon", "1"], 2, "belong to --mechanism gaussian"),
        (
            ["--mechanism", "gaussian", "--epsilon", "0", "--delta", "1e-5", "--clip", "1"],
            1,
            "epsilon",
        ),
        (
            ["--mechanism=gaussian", "--epsilon=9", "--delta=1e-5", "--clip=1", "--augment=1"],
            1,
            "38 releases of 19 images",
        ),
    ],
)
def test_a_privatizer_that_cannot_be_used_is_an_error(
    server: RunningServer,
    encoder: Path,
    folder: Path,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    result = run(server, encoder, "publish", "--data", folder, *arguments)
    assert result.returncode == code
    assert words in result.stderr
