"""The client as a library, against a running server, and where there is none."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import eq
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_autoencoder.client import Client
from client_autoencoder.errors import ClientClosed, ClientError, InputError, OutboxInUse
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.outbox.reading import list_waiting
from client_autoencoder.privacy.mechanism import GaussianMechanism, system_noise
from client_autoencoder.settings import ClientSettings
from schemas.messages.labels import LABEL_MAX
from stream.errors import StreamError, TopicMissing
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders
from tests.support.server import RunningServer
from tests.support.taught_server import run_taught_server

CLIENT = "radiology-1"
NOBODY = "127.0.0.1:1"
BATCH = draw_images(30)
IMAGES, LABELS = BATCH.images, [str(label) for label in BATCH.labels]

MakeClient = Callable[..., Client]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_encoder(tmp_path_factory.mktemp("encoders") / "encoder")


@pytest.fixture(scope="module")
def server(
    kafka: str, encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="clientlib")
    with run_taught_server(settings, encoder, tmp_path_factory.mktemp("server")) as running:
        running.register(CLIENT)
        yield running


@pytest.fixture(scope="module")
def unserved(kafka: str) -> KafkaSettings:
    """Topics of a deployment without a server."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="clientalone")
    topics = Topics(settings.prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    return settings


@pytest.fixture
def make_client(encoder: Path, tmp_path: Path) -> Iterator[MakeClient]:
    """Make clients with an outbox of the test, which end with it."""
    made: list[Client] = []

    def make(kafka: KafkaSettings, **options: Any) -> Client:
        defaults: dict[str, Any] = {
            "client_id": CLIENT,
            "encoder": encoder,
            "bootstrap_servers": kafka.bootstrap_servers,
            "prefix": kafka.prefix,
            "outbox": tmp_path / "outbox",
        }
        made.append(Client(**(defaults | options)))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def away() -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=NOBODY, prefix="clientlib")


@pytest.mark.parametrize(
    "images",
    [IMAGES[:, 0], IMAGES, IMAGES.astype(np.float64), np.rint(IMAGES * 255).astype(np.uint8)],
    ids=["[N, H, W]", "[N, 1, H, W]", "float64", "uint8"],
)
def test_arrays_are_published_and_asked_about(
    server: RunningServer, make_client: MakeClient, images: np.ndarray[Any, Any]
) -> None:
    stored = server.count_stored()
    with make_client(server.kafka) as client:
        report = client.publish(images, LABELS)
        assert (report.images, report.sent, report.acknowledged) == (30, 30, 30)
        assert server.count_stored() == stored + 30
        answers = client.ask(images)
    assert sum(map(eq, answers.labels, LABELS)) >= 27, "in another order it would be a third"
    assert (answers.errors, answers.unanswered) == ([None] * 30, 0)
    for label, row in zip(answers.labels, answers.probabilities, strict=True):
        assert (label, 1.0) == (max(row, key=row.__getitem__), pytest.approx(sum(row.values())))
    assert str(answers.model_version).startswith("v1-")


def test_files_are_published_and_asked_about(
    server: RunningServer, make_client: MakeClient, tmp_path: Path
) -> None:
    paths = write_class_folders(tmp_path / "images", draw_images(6))
    paths[3].write_bytes(paths[3].read_bytes()[:40])
    client = make_client(server.kafka)
    report = client.publish_source(tmp_path / "images", augment=1, seed=0)
    assert (report.images, report.sent, report.acknowledged) == (5, 10, 10)
    assert [skipped.name for skipped in report.skipped] == [str(paths[3])]
    asked = client.ask_source(str(tmp_path / "images"), limit=3)
    assert (asked.sent, len(asked.answered)) == (3, 3)


def test_arrays_and_files_give_the_same_messages(
    unserved: KafkaSettings, make_client: MakeClient, tmp_path: Path
) -> None:
    pixels = np.rint(IMAGES * 255).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels, labels=LABELS)

    def list_sent(name: str, publish: Callable[[Client], object]) -> list[tuple[object, ...]]:
        client = make_client(
            unserved,
            outbox=tmp_path / name,
            timeout_seconds=0.2,
            clock=lambda: 1.8e9,
            random=np.random.default_rng(0).bytes,
        )
        publish(client)
        return [
            (row["key"], *map(tuple, row["headers"]), row["value"])
            for row in list_waiting(tmp_path / name / f"{CLIENT}.db", bodies=True)
        ]

    of_arrays = list_sent("arrays", lambda client: client.publish(pixels, LABELS))
    of_files = list_sent("files", lambda client: client.publish_source(tmp_path / "images.npz"))
    assert of_arrays == of_files
    assert len(of_arrays) == 30


def change(value: float, batch: ImageBatch = BATCH) -> np.ndarray[Any, Any]:
    """Return the images with one pixel changed."""
    images = batch.images.copy()
    images[17, 0, 2, 3] = value
    return images


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES[0, 0], LABELS[:1], r"shape \[8, 8\].*images\[None\]"),
        (IMAGES[..., None], LABELS, r"shape \[30, 1, 8, 8, 1\]"),
        (np.repeat(IMAGES, 3, axis=1), LABELS, r"shape \[30, 3, 8, 8\].*one channel of grey"),
        (draw_images(30, side=9).images, LABELS, "9x9 pixels, the encoder takes 8x8: resize"),
        (IMAGES.astype(np.int64), LABELS, "int64, they must be uint8, or float"),
        (IMAGES.astype(bool), LABELS, "bool, they must be uint8, or float"),
        ([[["a"]]], LABELS[:1], "they must be uint8, or float"),
        ([[[0.0, 0.1]], [[0.0]]], LABELS[:2], "images are no array"),
        (change(np.nan), LABELS, r"images\[17\] has pixels from nan"),
        (change(1.5), LABELS, r"images\[17\] has pixels from 0 to 1.5: floats must be"),
        (change(-0.1), LABELS, r"images\[17\] has pixels from -0.1"),
        (change(np.inf), LABELS, r"images\[17\] has pixels from 0 to inf"),
        (IMAGES, LABELS[1:], "29 labels for 30 images"),
        (IMAGES, "ring", "labels are one text, 'ring'"),
        (IMAGES, [*LABELS[1:], ""], r"labels\[29\] is empty"),
        (IMAGES, [*LABELS[1:], 7], r"labels\[29\] is 7, not a text"),
        (IMAGES, [*LABELS[1:], None], r"labels\[29\] is None, not a text"),
        (IMAGES, [*LABELS[1:], "x" * (LABEL_MAX + 1)], r"labels\[29\]: has 257 characters"),
        (IMAGES, [*LABELS[1:], " ring"], r"labels\[29\]: ' ring' begins or ends with a blank"),
    ],
)
def test_what_cannot_be_sent_is_named_and_nothing_is_sent(
    away: KafkaSettings, make_client: MakeClient, images: Any, labels: Any, words: str
) -> None:
    client = make_client(away)
    with pytest.raises(InputError, match=words):
        client.publish(images, labels)
    if "label" not in words:
        with pytest.raises(InputError, match=words):
            client.ask(images)
    assert not Path(client.outbox).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"client_id": "Radiology 1"}, "clientID: 'Radiology 1' is not 1 to 63 of"),
        ({"client_id": "../x"}, "clientID: '../x' is not 1 to 63 of"),
        ({"client_id": None}, "client_id: Input should be a valid string"),
        ({"encoder": 7}, "encoder: "),
        ({"extra": "SSL"}, "extra: "),
        ({"dtype": "int2"}, "dtype: "),
        ({"form": "xml"}, "form: "),
        ({"timeout_seconds": 0}, "timeout_seconds: "),
        ({"prefix": "Ioa!"}, "prefix: "),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    away: KafkaSettings, make_client: MakeClient, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make_client(away, **options)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: client.publish(IMAGES, LABELS, augment=-1), "augment is -1"),
        (lambda client: client.publish(IMAGES, LABELS, seed=3), "a seed belongs to augmented"),
        (lambda client: client.ask(IMAGES, in_flight=0), "in_flight is 0"),
        (lambda client: client.publish_source("nowhere"), "nowhere is neither a file nor"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(
    away: KafkaSettings,
    make_client: MakeClient,
    call: Callable[[Client], object],
    words: str,
) -> None:
    client = make_client(away)
    with pytest.raises(ClientError, match=words):
        call(client)
    assert not Path(client.outbox).exists()


def test_noise_is_for_single_releases_and_not_for_questions(
    server: RunningServer, make_client: MakeClient
) -> None:
    mechanism = GaussianMechanism(epsilon=4, delta=1e-5, clip=1, noise=system_noise)
    client = make_client(server.kafka, mechanism=mechanism)
    with pytest.raises(ClientError, match="60 releases of 30 images"):
        client.publish(IMAGES, LABELS, augment=1)
    with pytest.raises(ClientError, match="ask without a mechanism"):
        client.ask(IMAGES)
    assert not list(list_waiting(Path(client.outbox) / f"{CLIENT}.db"))
    assert client.publish(IMAGES, LABELS).acknowledged == 30


def test_a_closed_client_says_so(away: KafkaSettings, make_client: MakeClient) -> None:
    with make_client(away) as client:
        pass
    calls: Sequence[Callable[[], object]] = (
        lambda: client.publish(IMAGES, LABELS),
        lambda: client.ask(IMAGES),
        lambda: client.publish_source("digits"),
        lambda: client.ask_source("digits"),
        client.drain,
    )
    for call in calls:
        with pytest.raises(ClientClosed, match="radiology-1 is closed: make a new Client"):
            call()
    client.close()


def test_a_client_belongs_to_the_thread_that_used_it_first(
    server: RunningServer, make_client: MakeClient
) -> None:
    with make_client(server.kafka) as client, ThreadPoolExecutor(1) as other:
        client.publish(IMAGES, LABELS)
        for call in (lambda: client.publish(IMAGES, LABELS), client.drain, client.close):
            with pytest.raises(ClientError, match="belongs to the thread that used it first"):
                other.submit(call).result()
        assert client.publish(IMAGES, LABELS).acknowledged == 30


def test_two_clients_cannot_use_one_outbox(server: RunningServer, make_client: MakeClient) -> None:
    first, second = make_client(server.kafka), make_client(server.kafka)
    first.publish(IMAGES, LABELS)
    with pytest.raises(OutboxInUse, match="is in use by process"):
        second.publish(IMAGES, LABELS)
    assert second.ask(IMAGES).unanswered == 0, "questions have an outbox of their own"
    first.close()
    assert second.publish(IMAGES, LABELS).acknowledged == 30


def test_a_client_that_nobody_registered_is_told_and_nothing_is_sent(
    server: RunningServer, make_client: MakeClient
) -> None:
    client = make_client(server.kafka, client_id="stranger")
    with pytest.raises(TopicMissing, match="ioa client add stranger"):
        client.publish(IMAGES, LABELS)
    assert not list(list_waiting(Path(client.outbox) / "stranger.db"))


def test_messages_wait_while_the_broker_is_away_and_the_caller_is_told(
    server: RunningServer, away: KafkaSettings, make_client: MakeClient
) -> None:
    notices: list[str] = []
    with make_client(away, timeout_seconds=0.2, on_notice=notices.append) as client:
        report = client.publish(IMAGES, LABELS)
    assert (report.sent, report.acknowledged, report.waiting) == (30, 0, 30)
    assert report.unanswered[:2] == ["images[0]", "images[1]"]
    (notice,) = notices
    assert f"no Kafka broker answers at {NOBODY}" in notice
    assert f"Messages wait in {client.outbox}/{CLIENT}.db" in notice

    stored = server.count_stored()
    with make_client(server.kafka, encoder=None) as client:
        drained = client.drain()
    assert (drained.ended, drained.waiting) == ({"acknowledged": 30}, 0)
    assert server.count_stored() == stored + 30


def test_a_warning_tells_of_a_broker_that_is_away(
    away: KafkaSettings, make_client: MakeClient
) -> None:
    client = make_client(away, timeout_seconds=0.2)
    with pytest.warns(UserWarning, match="no Kafka broker answers"):
        client.publish(IMAGES[:1], LABELS[:1])


def test_without_a_server_what_nobody_answered_is_counted(
    unserved: KafkaSettings, make_client: MakeClient
) -> None:
    client = make_client(unserved, timeout_seconds=0.2)
    report = client.publish(IMAGES, LABELS)
    assert (report.sent, len(report.unanswered), report.waiting) == (30, 30, 30)
    answers = client.ask(IMAGES, in_flight=3)
    assert (answers.labels, answers.unanswered) == ([None] * 30, 30)
    assert answers.probabilities == [{}] * 30
    assert answers.model_version is None
    assert "no answer within 0.2 s" in str(answers.errors[0])
    assert "was not asked about" in str(answers.errors[29])


def test_a_client_goes_on_after_an_interrupt(
    server: RunningServer, make_client: MakeClient
) -> None:
    def interrupt(_sent: int, _done: int) -> None:
        raise KeyboardInterrupt

    stored = server.count_stored()
    client = make_client(server.kafka)
    with pytest.raises(KeyboardInterrupt):
        client.publish(IMAGES, LABELS, on_progress=interrupt)
    assert client.drain().waiting == 0
    assert server.count_stored() == stored + 30
    assert client.publish(IMAGES, LABELS).acknowledged == 30


def test_no_images_are_no_messages(server: RunningServer, make_client: MakeClient) -> None:
    client = make_client(server.kafka)
    assert client.publish(IMAGES[:0], []).sent == 0
    assert client.ask(IMAGES[:0]).labels == []


def test_an_encoder_that_is_none_is_an_error_at_once(
    away: KafkaSettings, make_client: MakeClient, tmp_path: Path
) -> None:
    with pytest.raises(StreamError, match="is not an encoder"):
        make_client(away, encoder=tmp_path)
    with pytest.raises(ClientError, match="has no encoder"):
        make_client(away, encoder=None).publish(IMAGES, LABELS)


def test_the_defaults_are_those_of_the_command_line() -> None:
    defaults = {option.name: option.default for option in dataclasses.fields(Client)}
    sections = ClientSettings.model_fields | KafkaSettings.model_fields
    shared = (defaults.keys() & sections.keys()) - {"client_id", "extra"}
    assert {"timeout_seconds", "outbox", "dtype", "form", "bootstrap_servers"} <= shared
    for name in shared:
        assert str(defaults[name]) == str(sections[name].default), name
    assert defaults["clock"] is time.time
