"""Bad input on a real broker: each case is refused with a remedy, and its neighbours go through."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.messages import headers as names
from schemas.messages.dead_letter import DeadLetter, Stub
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.vector import Vector
from schemas.wire import avro_form
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_client
from stream.errors import RecordTooLarge
from stream.exchange.exchanges import LEARNING, SERVICE, Exchange
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import make_record
from stream.kafka.settings import KafkaSettings
from tests.support.damaged_headers import send_damaged_header
from tests.support.postgres import DATABASES
from tests.support.server import NOW, RunningServer, add_trained_classifier, run_server
from tests.support.topics import Headers, read_new, send_raw

CLIENT = "radiology-1"
LABELS = ("chest", "hand", "head")


@pytest.fixture(scope="module", params=DATABASES)
def server(
    kafka: str,
    request: pytest.FixtureRequest,
    make_database: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=f"badinput-{request.param}")
    folder = tmp_path_factory.mktemp("server")
    url = make_database(request.param, folder)
    with run_server(settings, folder, database_url=url, labels=LABELS) as running:
        running.register(CLIENT)
        add_trained_classifier(running, LABELS)
        yield running


def body(server: RunningServer, **changes: Any) -> dict[str, Any]:
    """Return a good learning message as a JSON object, with fields changed or, by None, removed."""
    fields = {
        "clientID": CLIENT,
        "label": "hand",
        "value": [0.1, 1.5, -0.2, 0.3],
        "mode": "learning",
        "timestamp": "2026-11-21 10:00:00",
        "messageID": new_id(),
        "encoderID": server.encoder_id,
    }
    fields |= changes
    return {"message": {name: value for name, value in fields.items() if value is not None}}


def new_id() -> str:
    return make_message_id(int(time.time() * 1000), np.random.default_rng().bytes(10))


def as_json(server: RunningServer, **changes: Any) -> bytes:
    return json.dumps(body(server, **changes)).encode()


def as_avro(server: RunningServer) -> bytes:
    return avro_form.encode_avro(
        LatentMessage(
            CLIENT,
            "hand",
            Vector.from_numpy(np.zeros(4, np.float32)),
            "learning",
            datetime.now(UTC).replace(microsecond=0),
            new_id(),
            server.encoder_id,
            aggregate=Aggregate(),
            privacy=Privacy("none", parameters={}),
        )
    )


AVRO: Headers = [(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())]


def largest_record(server: RunningServer) -> bytes:
    """Return the longest body, no JSON, that the broker takes on the learning topic."""
    # One record alone in a batch: 61 bytes of batch header, then the record's length (3), its
    # attributes, timestamp and offset deltas (3), no key (1), the value's length (3), headers (1).
    return b"x" * (server.topics.of(LEARNING).limit - 61 - 11)


@dataclass(frozen=True)
class Case:
    """A bad record for the learning topic and what its reason must say."""

    name: str
    make: Callable[[RunningServer], bytes]
    reason: str
    headers: tuple[tuple[str, bytes], ...] = ()
    refused: bool = True  # the client could be told: it is known and readable


def change(**changes: Any) -> Callable[[RunningServer], bytes]:
    return lambda server: as_json(server, **changes)


def replace(old: bytes, new: bytes) -> Callable[[RunningServer], bytes]:
    return lambda server: as_json(server).replace(old, new, 1)


def nest(depth: int) -> bytes:
    """Return a list so deep that orjson reads it, and that Python 3.11 cannot print it."""
    return b"[0," * depth + b"0" + b"]" * depth


LEARNING_CASES = [
    Case(
        "nested-deeply",
        lambda _: (
            b"""{"message":{"clientID":%s,"label":"x","value":[1],"mode":"learning",
            "timestamp":"2026-01-01 00:00:00"}}"""
            % nest(1015)
        ),
        "clientID",
        refused=False,
    ),
    Case(
        "unknown-client",
        change(clientID="stranger"),
        "ioa client add stranger",
        refused=False,
    ),
    Case("unknown-encoder", change(encoderID="0" * 64), "ioa encoder add"),
    Case("nul-in-a-text", change(imageID="a\0b"), "imageID"),
    Case("missing-encoder", change(encoderID=None), "has no default encoder"),
    Case("wrong-vector-length", change(value=[0.5] * 5), "has 5 numbers"),
    Case("nan", replace(b"1.5", b"NaN"), "NaN is no JSON number", refused=False),
    Case("infinity", replace(b"1.5", b"Infinity"), "Infinity is no JSON number", refused=False),
    Case(
        "1e38", replace(b"1.5", b"1e38"), "is of size 1e+38, and the encoder's latents lie between"
    ),
    Case("1e300", replace(b"1.5", b"1e300"), "is too large for float32"),
    Case("true", replace(b"1.5", b"true"), "value[1]: true is not a float32 number"),
    Case("number-as-string", replace(b"1.5", b'"1.5"'), "value[1]: a string ('1.5') is not"),
    Case("nested-list", change(value=[[0.1, 0.2], [0.3, 0.4]]), "value[0]: a list"),
    Case("empty-list", change(value=[]), "is an empty list"),
    Case(
        "duplicate-keys",
        replace(b'"label"', b'"label": "head", "label"'),
        "stands twice",
        refused=False,
    ),
    Case("empty-label", change(label=""), "a learning message needs one"),
    Case("unknown-label", change(label="thorax"), "declared are 'chest', 'hand', 'head'"),
    Case("label-in-capitals", change(label="Chest"), "did you mean 'chest'?"),
    Case("long-label", change(label="h" * 10_000), "has 10000 characters, 256 are allowed"),
    Case("control-characters", change(label="ha\x00nd"), "control characters"),
    Case("unknown-mode", change(mode="teaching"), "neither 'learning' nor 'service'"),
    Case("service-mode-on-the-learning-topic", change(mode="service", label=""), "does not belong"),
    Case("bad-timestamp", change(timestamp="yesterday"), "is not a time in UTC such as"),
    Case("bad-client-id", change(clientID="Radiology 1"), "is not 1 to 63 of a-z", refused=False),
    Case("unknown-field", change(lable="hand"), "is not a known field"),
    Case("not-utf-8", replace(b"hand", b"h\xe4nd"), "is not UTF-8: byte 0xe4", refused=False),
    Case(
        "truncated-avro",
        lambda server: as_avro(server)[:-20],
        "is damaged Avro",
        tuple(AVRO),
        False,
    ),
    Case(
        "unknown-fingerprint",
        lambda server: b"\xc3\x01" + bytes(8) + as_avro(server)[10:],
        "schema fingerprint 0000000000000000 is unknown",
        tuple(AVRO),
        False,
    ),
    Case(
        "unknown-content-type",
        as_json,
        "neither application/json nor avro/binary",
        ((names.CONTENT_TYPE, b"text/xml"),),
    ),
    Case(
        "envelope-of-another-client",
        as_json,
        "says 'somebody'",
        ((names.CLIENT, b"somebody"),),
        False,
    ),
    Case("largest-record", largest_record, "is not JSON", refused=False),
]


@pytest.mark.parametrize("case", LEARNING_CASES, ids=lambda case: case.name)
def test_a_bad_learning_message_becomes_a_dead_letter(server: RunningServer, case: Case) -> None:
    stored = server.count_stored()
    bad = case.make(server)
    before, after = as_json(server), as_json(server)
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        records = [(before, []), (bad, list(case.headers)), (after, [])]
        offsets = send_raw(
            bootstrap, topics.of(LEARNING).name, records, largest=2 * len(bad) + 2**20
        )
        (found,) = dead_letters(1)
        letter = DeadLetter.from_headers(found.key(), found.value(), found.headers())
        kinds = [dict(answer.headers())[names.KIND] for answer in answers(3 if case.refused else 2)]

    assert case.reason in (f"{letter.field}: {letter.reason}" if letter.field else letter.reason)
    assert letter.value == bad
    assert (letter.origin_topic, letter.origin_offset) == (topics.of(LEARNING).name, offsets[1])
    assert sorted(kinds) == [b"acknowledgement"] * 2 + [b"refusal"] * case.refused
    assert server.count_stored() == stored + 2


def ask(server: RunningServer, **changes: Any) -> bytes:
    return as_json(server, **({"mode": "service", "label": ""} | changes))


SERVICE_CASES = [
    ("label-in-service-mode", {"label": "hand"}, "must be empty in service mode"),
    ("unknown-encoder", {"encoderID": "0" * 64}, "ioa encoder add"),
    ("wrong-vector-length", {"value": [0.5] * 3}, "has 3 numbers"),
    ("empty-list", {"value": []}, "is an empty list"),
    (
        "learning-mode-on-the-service-topic",
        {"mode": "learning", "label": "hand"},
        "does not belong",
    ),
]


@pytest.mark.parametrize(
    ("changes", "reason"), [c[1:] for c in SERVICE_CASES], ids=[c[0] for c in SERVICE_CASES]
)
def test_a_bad_request_of_a_known_client_is_answered(
    server: RunningServer, changes: dict[str, Any], reason: str
) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    bad = ask(server, **changes)
    with read_new(bootstrap, topics.replies(CLIENT).name) as answers:
        records: list[tuple[bytes, Headers]] = [(ask(server), []), (bad, []), (ask(server), [])]
        send_raw(bootstrap, topics.of(SERVICE).name, records)
        replies = [json.loads(answer.value())["message"] for answer in answers(3)]
    by_id = {reply["inReplyTo"]: reply for reply in replies}
    assert reason in by_id[json.loads(bad)["message"]["messageID"]]["error"]
    assert sorted(reply["label"] for reply in replies) == ["", "hand", "hand"]


def test_a_bad_request_of_nobody_we_know_becomes_a_dead_letter(server: RunningServer) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        records: list[tuple[bytes, Headers]] = [
            (ask(server, clientID="stranger"), []),
            (ask(server), []),
        ]
        send_raw(bootstrap, topics.of(SERVICE).name, records)
        (letter,) = dead_letters(1)
        (reply,) = answers(1)
    assert b"ioa client add stranger" in dict(letter.headers())[names.ERROR_REASON]
    assert json.loads(reply.value())["message"]["label"] == "hand"


def test_a_question_that_is_nested_deeply_keeps_nobody_waiting(server: RunningServer) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    question = ask(server)
    bad = question.replace(b'"hand"', b'""').replace(b"[0.1, 1.5, -0.2, 0.3]", nest(1015))
    assert bad != question
    with read_new(bootstrap, topics.replies(CLIENT).name) as answers:
        send_raw(bootstrap, topics.of(SERVICE).name, [(bad, []), (ask(server), [])])
        labels = [json.loads(answer.value())["message"]["label"] for answer in answers(2)]
    assert sorted(labels) == ["", "hand"]


@pytest.mark.parametrize("deadline", [b"9" * 5000, b"-1", b"tomorrow", b"1e400"])
def test_a_deadline_that_is_no_time_is_answered(server: RunningServer, deadline: bytes) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    with read_new(bootstrap, topics.replies(CLIENT).name) as answers:
        records: list[tuple[bytes, Headers]] = [(ask(server), [(names.DEADLINE, deadline)])]
        send_raw(bootstrap, topics.of(SERVICE).name, [*records, (ask(server), [])])
        errors = [json.loads(answer.value())["message"].get("error") for answer in answers(2)]
    (error,) = [error for error in errors if error is not None]
    assert "is not milliseconds since the Unix epoch" in error


def test_a_record_without_value_is_buried_without_value(server: RunningServer) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    with read_new(bootstrap, topics.dead_letters.name) as dead_letters:
        send_raw(bootstrap, topics.of(LEARNING).name, [(None, [])])
        (letter,) = dead_letters(1)
    assert letter.value() is None
    assert b"is not JSON" in dict(letter.headers())[names.ERROR_REASON]


def register_without_topic(server: RunningServer, client_id: str) -> None:
    with writing(server.engine) as connection:
        add_client(connection, client_id=client_id, site="st-mary", default_encoder=None, now=NOW)


def test_a_client_without_reply_topic_keeps_nobody_else_waiting(server: RunningServer) -> None:
    register_without_topic(server, "topicless")
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    question = ask(server, clientID="topicless")
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        for _ in range(3):
            lesson = as_json(server, clientID="topicless")
            send_raw(bootstrap, topics.of(LEARNING).name, [(lesson, []), (as_json(server), [])])
            send_raw(bootstrap, topics.of(SERVICE).name, [(question, []), (ask(server), [])])
        kinds = [dict(answer.headers())[names.KIND] for answer in answers(6, seconds=60)]
        letters = dead_letters(3, seconds=60)
    assert sorted(kinds) == [b"acknowledgement"] * 3 + [b"reply"] * 3
    assert [letter.value() for letter in letters] == [question] * 3
    reason = dict(letters[0].headers())[names.ERROR_REASON]
    assert f"{topics.replies('topicless').name} cannot be written".encode() in reason


def test_a_correlation_id_as_large_as_the_record_is_not_repeated(server: RunningServer) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    huge = [(names.CLIENT, CLIENT.encode()), (names.CORRELATION_ID, b"x" * 1_047_000)]
    with read_new(bootstrap, topics.replies(CLIENT).name) as answers:
        send_raw(bootstrap, topics.of(LEARNING).name, [(b"{}", huge), (as_json(server), [])])
        send_raw(bootstrap, topics.of(SERVICE).name, [(b"{}", huge), (ask(server), [])])
        kinds = [dict(answer.headers())[names.KIND] for answer in answers(4)]
    assert sorted(kinds) == [b"acknowledgement", b"refusal", b"reply", b"reply"]


def test_a_default_encoder_named_later_is_noticed(server: RunningServer) -> None:
    server.register("app9")
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    lesson = as_json(server, clientID="app9", encoderID=None, messageID=None)
    with read_new(bootstrap, topics.replies("app9").name) as answers:
        send_raw(bootstrap, topics.of(LEARNING).name, [(lesson, [])])
        (refusal,) = answers(1)
        server.register("app9", default_encoder=server.encoder_id)
        time.sleep(1.1)  # the registry is read again after a second
        send_raw(bootstrap, topics.of(LEARNING).name, [(lesson, [])])
        (acknowledgement,) = answers(1)
    assert dict(refusal.headers())[names.KIND] == b"refusal"
    assert set(json.loads(refusal.value())["message"]) == {
        "clientID", "label", "timestamp", "inReplyTo", "error",
    }  # fmt: skip
    assert dict(acknowledgement.headers())[names.KIND] == b"acknowledgement"


def test_a_noised_question_is_answered_with_advice(server: RunningServer) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    noised = ask(server, privacy={"mechanism": "gaussian", "epsilon": 8})
    with read_new(bootstrap, topics.replies(CLIENT).name) as answers:
        send_raw(bootstrap, topics.of(SERVICE).name, [(noised, [])])
        (reply,) = answers(1)
    assert "learn with noise, and ask without" in json.loads(reply.value())["message"]["error"]


def test_a_header_name_that_is_not_utf_8_stops_nothing(server: RunningServer) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        send_damaged_header(bootstrap, topics.of(LEARNING).name)
        send_raw(bootstrap, topics.of(LEARNING).name, [(as_json(server), [])])
        (letter,) = dead_letters(1)
        assert len(answers(1)) == 1
    assert b"the name of a header is not UTF-8" in dict(letter.headers())[names.ERROR_REASON]


@pytest.mark.parametrize("exchange", [LEARNING, SERVICE], ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_of_what_is_too_large_to_be_copied_a_stub_stays(
    server: RunningServer, exchange: Exchange[Any], compression: str
) -> None:
    """The broker's limit counts compressed bytes: 70 MB of one letter are a few kB."""
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    bad, good = b"x" * 70_000_000, as_json(server) if exchange is LEARNING else ask(server)
    headers: Headers = [("own", b"y")]
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        (offset,) = send_raw(
            bootstrap,
            topics.of(exchange).name,
            [(bad, headers)],
            largest=80_000_000,
            compression=compression,
        )
        send_raw(bootstrap, topics.of(exchange).name, [(good, [])])
        (found,) = dead_letters(1)
        assert len(answers(1)) == 1
    letter = DeadLetter.from_headers(found.key(), found.value(), found.headers())
    assert letter.stub == Stub(len(bad), hashlib.sha256(bad).hexdigest())
    assert (letter.key, letter.value, letter.headers) == (None, None, [])
    assert (letter.origin_topic, letter.origin_offset) == (topics.of(exchange).name, offset)
    assert "70,000,000 bytes uncompressed" in letter.reason


def test_three_hundred_damaged_records_stop_nothing(server: RunningServer) -> None:
    rng = np.random.default_rng(7)
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    damaged: list[tuple[bytes, Headers]] = []
    for number in range(300):
        avro = number % 2 == 1
        raw = bytearray(as_avro(server) if avro else as_json(server))
        for position in rng.integers(0, len(raw), 4):
            raw[position] = rng.integers(0, 256)
        cut = rng.integers(1, len(raw))
        damaged.append((bytes(raw[:cut]), AVRO if avro else []))
    with (
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
        read_new(bootstrap, topics.replies(CLIENT).name) as answers,
    ):
        for topic, good in (
            (topics.of(LEARNING), as_json(server)),
            (topics.of(SERVICE), ask(server)),
        ):
            send_raw(bootstrap, topic.name, [*damaged, (good, [])])
        assert len(dead_letters(600)) == 600
        kinds = [dict(answer.headers())[names.KIND] for answer in answers(2)]
    assert sorted(kinds) == [b"acknowledgement", b"reply"]


def test_a_record_one_byte_larger_is_refused_by_the_broker(server: RunningServer) -> None:
    value = largest_record(server) + b"x"
    with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
        send_raw(
            server.kafka.bootstrap_servers,
            server.topics.of(LEARNING).name,
            [(value, [])],
            largest=2 * len(value),
        )


def test_a_20_mb_message_is_refused_at_the_client(server: RunningServer) -> None:
    value = Vector.from_numpy(np.zeros(5_000_000, np.float32))
    message = LatentMessage(
        CLIENT, "hand", value, "learning", datetime.now(UTC), new_id(), server.encoder_id
    )
    with pytest.raises(RecordTooLarge, match=r"takes 20,000,\d\d\d bytes, .* permits 1,048,576"):
        make_record(message, avro_form.CONTENT_TYPE, server.topics)
