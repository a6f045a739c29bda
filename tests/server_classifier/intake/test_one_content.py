"""One id, one content, on a real broker: what was stored first stays, and another is refused."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import Engine, select

from client_autoencoder.outbox.entries import Settled
from schemas.messages import headers as names
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.latent import LatentMessage
from schemas.vector import Vector
from schemas.wire import avro_form, json_form
from server_classifier.store.database import reading, writing
from server_classifier.store.datasets.members import find_members
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.entries import add_encoder
from server_classifier.store.tables import latent
from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import make_record
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.ingestion import open_ingestion
from tests.support.postgres import DATABASES
from tests.support.relays import open_relay
from tests.support.replays import Replayer, opened
from tests.support.server import NOW, RunningServer, add_clients, make_manifest, run_server
from tests.support.topics import Headers, read_new, send_raw
from tests.support.waiting import wait_until

FIRST, SECOND, NEIGHBOUR = "radiology-1", "radiology-2", "radiology-3"
SOON = 5.0
AVRO: Headers = [(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())]
OTHER_ENCODER = make_manifest(files={"network.onnx": "2" * 64})


@pytest.fixture(scope="module", params=DATABASES)
def server(
    kafka: str,
    request: pytest.FixtureRequest,
    make_database: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=f"contents-{request.param}")
    folder = tmp_path_factory.mktemp("server")
    with run_server(settings, folder, database_url=make_database(request.param, folder)) as running:
        for client_id in (FIRST, SECOND, NEIGHBOUR):
            running.register(client_id)
        with writing(running.engine) as connection:
            add_encoder(connection, OTHER_ENCODER, now=NOW)
        yield running


def new_id() -> str:
    return make_message_id(int(time.time() * 1000), token_bytes(10))


def encode(message_id: str, **changes: Any) -> bytes:
    """Return a learning message in JSON, with fields changed or, by None, removed."""
    fields = {
        "clientID": FIRST,
        "label": "hand",
        "value": [1, 0, 1, 0],
        "mode": "learning",
        "timestamp": "2026-11-21 10:00:00",
        "messageID": message_id,
        "encoderID": make_manifest().network_id,
        "imageID": "image-1",
        "subject": "kx91",
        "aggregate": {"kind": "record", "count": 1},
        "privacy": {"mechanism": "none"},
        "policy": "e" * 64,
    }
    fields |= changes
    body = {name: value for name, value in fields.items() if value is not None}
    return json.dumps({"message": body}).encode()


def to_avro(raw: bytes) -> bytes:
    return avro_form.encode_avro(json_form.decode_latent_json(raw))


def read_stored(engine: Engine, message_id: str) -> list[tuple[str, str]]:
    """Return client and label of what is stored under an id."""
    query = select(latent.c.client_id, latent.c.label).where(latent.c.message_id == message_id)
    with reading(engine) as connection:
        return [(client_id, label) for client_id, label in connection.execute(query)]


def read_kind(answer: Any) -> bytes:
    return bytes(dict(answer.headers())[names.KIND])


OTHER_CONTENTS: dict[str, dict[str, Any]] = {
    "client": {"clientID": SECOND},
    "client and label": {"clientID": SECOND, "label": "chest"},
    "label": {"label": "chest"},
    "label in capitals": {"label": "Hand"},
    "value": {"value": [1, 0, 1, 1e-7]},
    "dtype": {"dtype": "int8"},
    "encoder": {"encoderID": OTHER_ENCODER.network_id},
    "image": {"imageID": "image-2"},
    "no image": {"imageID": None},
    "subject": {"subject": "kx92"},
    "aggregate": {"aggregate": {"kind": "mean", "count": 1}},
    "mechanism": {"privacy": {"mechanism": "own"}},
    "unit": {"privacy": {"mechanism": "none", "unit": "record"}},
    "policy": {"policy": "f" * 64},
    "no policy": {"policy": None},
}


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize("changes", OTHER_CONTENTS.values(), ids=OTHER_CONTENTS)
def test_another_content_is_refused_and_the_first_one_stays(
    server: RunningServer, changes: dict[str, Any], together: bool
) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    message_id, topic = new_id(), topics.of(LEARNING).name
    other = encode(message_id, **changes)
    sender = changes.get("clientID", FIRST)
    neighbours = [encode(new_id(), clientID=NEIGHBOUR) for _ in range(2)]
    with ExitStack() as stack:
        dead_letters = stack.enter_context(read_new(bootstrap, topics.dead_letters.name))
        answers = {
            name: stack.enter_context(read_new(bootstrap, topics.replies(name).name))
            for name in (FIRST, SECOND, NEIGHBOUR)
        }
        records: list[tuple[bytes, Headers]] = [(encode(message_id), []), (neighbours[0], [])]
        if not together:
            send_raw(bootstrap, topic, records)
            (first,) = answers[FIRST](1)
            records = []
        records += [(other, []), (neighbours[1], [])]
        send_raw(bootstrap, topic, records)
        assert len(answers[NEIGHBOUR](2, seconds=SOON)) == 2
        if together:
            (first, *more) = answers[FIRST](2 if sender == FIRST else 1)
        (refusal,) = more if together and sender == FIRST else answers[sender](1)
        (found,) = dead_letters(1)
    letter = DeadLetter.from_headers(found.key(), found.value(), found.headers())
    refused = json.loads(refusal.value())["message"]
    assert (read_kind(first), read_kind(refusal)) == (b"acknowledgement", b"refusal")
    assert (refused["inReplyTo"], refused["field"]) == (message_id, "messageID")
    assert "another message is stored under this id" in refused["error"]
    assert (letter.value, letter.field) == (other, "messageID")
    assert read_stored(server.engine, message_id) == [(FIRST, "hand")]


AGAIN: dict[str, Callable[[str], tuple[bytes, Headers]]] = {
    "the same bytes": lambda message_id: (encode(message_id), []),
    "in Avro": lambda message_id: (to_avro(encode(message_id)), AVRO),
    "sent later": lambda message_id: (encode(message_id, timestamp="2026-11-22 10:00:00"), []),
    "less said of nothing": lambda message_id: (
        encode(message_id, privacy=None, aggregate=None),
        [],
    ),
    "numbers otherwise": lambda message_id: (encode(message_id, value=[1.0, 0.0, 1e0, 0]), []),
    "with a shape": lambda message_id: (encode(message_id, shape=[2, 2]), []),
}


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize("make", AGAIN.values(), ids=AGAIN)
def test_the_same_content_is_acknowledged_again(
    server: RunningServer, make: Callable[[str], tuple[bytes, Headers]], together: bool
) -> None:
    bootstrap, topic = server.kafka.bootstrap_servers, server.topics.of(LEARNING).name
    message_id = new_id()
    with read_new(bootstrap, server.topics.replies(FIRST).name) as answers:
        records: list[tuple[bytes, Headers]] = [(encode(message_id), []), make(message_id)]
        for batch in [records] if together else [[record] for record in records]:
            send_raw(bootstrap, topic, batch)
            kinds = [read_kind(answer) for answer in answers(len(batch), seconds=SOON)]
            assert kinds == [b"acknowledgement"] * len(batch)
    assert read_stored(server.engine, message_id) == [(FIRST, "hand")]


def test_a_noised_latent_is_the_same_in_both_forms(server: RunningServer) -> None:
    noise = {"mechanism": "own", "guarantee": True, "epsilon": 3, "delta": 0}
    noise |= {"unit": "record", "adjacency": "replace-one"}
    sent = encode(new_id(), privacy=noise)
    other = sent.replace(b'"delta": 0', b'"delta": 0.1')
    bootstrap, topic = server.kafka.bootstrap_servers, server.topics.of(LEARNING).name
    with read_new(bootstrap, server.topics.replies(FIRST).name) as answers:
        send_raw(bootstrap, topic, [(to_avro(sent), AVRO), (sent, []), (other, [])])
        kinds = [read_kind(answer) for answer in answers(3)]
    assert kinds == [b"acknowledgement", b"acknowledgement", b"refusal"]


def test_questions_are_not_stored_and_may_share_an_id(server: RunningServer) -> None:
    bootstrap, topic = server.kafka.bootstrap_servers, server.topics.of(SERVICE).name
    message_id = new_id()
    asked = [
        encode(message_id, mode="service", label="", value=[number] * 4) for number in (0.1, 0.2)
    ]
    with read_new(bootstrap, server.topics.replies(FIRST).name) as answers:
        send_raw(bootstrap, topic, [(question, []) for question in asked])
        assert [read_kind(answer) for answer in answers(2)] == [b"reply"] * 2


def test_the_outbox_of_the_second_client_says_why_it_was_refused(
    server: RunningServer, tmp_path: Path
) -> None:
    message_id = new_id()
    settled: list[Settled] = []
    for client_id, label in ((FIRST, "hand"), (SECOND, "chest")):
        value = Vector("int8", (4,), bytes(4))
        now = datetime.now(UTC).replace(microsecond=0)
        message = LatentMessage(client_id, label, value, "learning", now, message_id)
        message.encoder_id = server.encoder_id
        with open_relay(server.kafka, client_id, tmp_path) as relay:
            relay.on_settled = settled.extend
            relay.connect(5.0)
            record = make_record(message, avro_form.CONTENT_TYPE, server.topics)
            relay.put([record], [f"{label}.png"], timeout=5.0)
            assert relay.drain(timeout=20.0)
    assert [(one.name, one.outcome.kind) for one in settled] == [
        ("hand.png", "acknowledged"),
        ("chest.png", "refused"),
    ]
    assert settled[1].outcome.reason.startswith("messageID: another message is stored under this")


def test_two_ingesters_at_once_store_one_content_of_each_id(
    kafka: str, topic_prefix: str, database_url: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    count, labels = 300, {FIRST: "hand", SECOND: "chest"}
    ids = [new_id() for _ in range(count)]
    with ExitStack() as running:
        ingestion = running.enter_context(open_ingestion(settings, database_url, tmp_path))
        add_clients(ingestion.engine, SECOND)
        create_topics(settings, [topics.replies(SECOND)])
        processes = [
            running.enter_context(ingestion.start(name, instance=name)) for name in ("a", "b")
        ]
        for process in processes:
            process.wait_for("reading begins")
        answers = {
            name: running.enter_context(read_new(kafka, topics.replies(name).name))
            for name in labels
        }
        for partition in range(4):
            client_id = (FIRST, SECOND)[partition % 2]
            bodies = [
                encode(message_id, clientID=client_id, label=labels[client_id])
                for message_id in ids[partition // 2 :: 2]
            ]
            send_raw(
                kafka,
                topics.of(LEARNING).name,
                [(body, []) for body in bodies],
                partition=partition,
            )
        told = {name: answers[name](count) for name in labels}
        stored = {message_id: read_stored(ingestion.engine, message_id) for message_id in ids}
    acknowledged = {
        (json.loads(answer.value())["message"]["inReplyTo"], name)
        for name in labels
        for answer in told[name]
        if read_kind(answer) == b"acknowledgement"
    }
    assert [len(told[name]) for name in labels] == [count, count]
    assert len(acknowledged) == count
    assert all(stored[message_id] == [(name, labels[name])] for message_id, name in acknowledged)


def test_a_replay_comes_to_the_rows_of_the_live_database(
    replayer: Replayer, database_url: str
) -> None:
    live = replayer.live
    add_clients(live.engine, SECOND)
    ids = [new_id() for _ in range(50)]
    bodies = [
        encode(message_id, clientID=client_id, label=label)
        for message_id in ids
        for client_id, label in ((FIRST, "hand"), (SECOND, "chest"), (FIRST, "hand"))
    ]
    topic = Topics(live.kafka.prefix).of(LEARNING).name
    send_raw(live.kafka.bootstrap_servers, topic, [(body, []) for body in bodies])
    with live.start("ingest") as ingest:
        wait_until(lambda: "batch ingested" in ingest.text, "nothing is stored")
    _, report = replayer.run(database_url)
    with opened(database_url) as replayed:
        assert list_members(replayed) == list_members(live.engine)
    assert {read_stored(live.engine, message_id)[0] for message_id in ids} == {(FIRST, "hand")}
    assert (report.stored, report.known) == (50, 100)


def list_members(engine: Engine) -> list[bytes]:
    with reading(engine) as connection:
        return find_members(connection, Selection(), lambda _: None).tolist()
