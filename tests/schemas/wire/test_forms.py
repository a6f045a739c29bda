"""Messages survive both forms, old bytes decode for ever, and damage is a SchemaError."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SchemaError
from schemas.messages.answers import Refusal, Reply
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.latent import LatentMessage, Privacy
from schemas.messages.validation import Message
from schemas.vector import Vector
from schemas.wire import avro_form, json_form
from schemas.wire.registry import SCHEMA_NAMES, load_schema
from tests.support import messages

GOLDEN = Path(__file__).parent / "golden"
FINGERPRINTS = {
    "latent.v1": "ec6d3ed78313763b",
    "latent.v2": "c5787d1db63f41b5",
    "reply.v1": "ec8ca0ff70848378",
    "acknowledgement.v1": "8f68c3bcabbcc8cb",
    "refusal.v1": "334cf872914481a5",
    "dead_letter.v1": "099845c5eff4bd4e",
}


def decode_json(raw: bytes, like: Message) -> Message:
    if isinstance(like, LatentMessage):
        return json_form.decode_latent_json(raw)
    return json_form.decode_answer_json(raw, type(like))


def decode_avro(raw: bytes, like: Message) -> Message:
    if isinstance(like, LatentMessage):
        return avro_form.decode_latent_avro(raw)
    return avro_form.decode_answer_avro(raw, type(like))


@given(messages.latent_messages() | messages.answers())
def test_a_message_survives_both_forms(message: Message) -> None:
    assert decode_json(json_form.encode_json(message), message) == message
    assert decode_avro(avro_form.encode_avro(message), message) == message


def test_a_declaration_is_decoded_again_if_it_differs() -> None:
    """Equal declarations are decoded once and shared; long ones are not cached."""
    message = messages.examples()["learning"]
    assert isinstance(message, LatentMessage)
    decoded = []
    for count in (0, 1, 0, 100):
        parameters = {f"parameter {number}": float(number) for number in range(count)}
        message.privacy = Privacy("none", parameters=parameters)
        decoded.append(avro_form.decode_latent_avro(avro_form.encode_avro(message)))
        assert decoded[-1] == message
    privacies = [latent.privacy for latent in decoded]
    assert [len(privacy.parameters or {}) for privacy in privacies if privacy] == [0, 1, 0, 100]
    assert privacies[0] is privacies[2]


def test_the_largest_float32_survives_its_shortest_text() -> None:
    message = messages.paper_learning()
    message.value = Vector.from_numpy(np.array([3.4028235e38, -3.4028235e38], np.float32))
    assert json_form.decode_latent_json(json_form.encode_json(message)) == message


@pytest.mark.parametrize("name", messages.examples())
def test_golden_files_decode_and_are_written_the_same(name: str) -> None:
    message = messages.examples()[name]
    as_json = (GOLDEN / f"{name}.json").read_bytes()
    as_avro = (GOLDEN / f"{name}.avro").read_bytes()
    assert decode_json(as_json, message) == message
    assert decode_avro(as_avro, message) == message
    assert json_form.encode_json(message) == as_json
    # A map has no order in Avro, but ours keeps the order of the dictionary.
    assert avro_form.encode_avro(message) == as_avro


def test_the_papers_message_reads_and_writes_as_printed() -> None:
    raw = (GOLDEN / "paper_learning.json").read_bytes()
    message = json_form.decode_latent_json(raw)
    assert message == messages.paper_learning()
    assert message.message_id is None
    assert message.encoder_id is None
    assert json_form.encode_json(message) == raw


def test_the_papers_reply_reads_as_printed() -> None:
    raw = b'{"message":{"clientID":"app1","label":"chest x-ray","timestamp":"2017-04-29 12:20:42"}}'
    reply = json_form.decode_answer_json(raw, Reply)
    assert (reply.client_id, reply.label, reply.error) == ("app1", "chest x-ray", None)
    assert json_form.encode_json(reply) == raw


def test_a_dead_letter_survives_headers_json_and_avro() -> None:
    dead_letter = messages.dead_letter()
    key, value, headers = dead_letter.key, dead_letter.value, dead_letter.to_headers()
    assert DeadLetter.from_headers(key, value, headers) == dead_letter
    assert DeadLetter.from_json(dead_letter.to_json()) == dead_letter
    assert avro_form.decode_dead_letter(avro_form.encode_dead_letter(dead_letter)) == dead_letter
    assert (GOLDEN / "dead_letter.json").read_bytes() == dead_letter.to_json()
    assert avro_form.decode_dead_letter((GOLDEN / "dead_letter.avro").read_bytes()) == dead_letter


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_a_published_schema_is_never_edited(name: str) -> None:
    assert load_schema(name).fingerprint.hex() == FINGERPRINTS[name]


@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_the_schema_error(raw: bytes) -> None:
    _decode_every_way(raw)


@given(st.data())
def test_damaged_messages_raise_nothing_but_the_schema_error(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(messages.examples())))
    ending = data.draw(st.sampled_from([".json", ".avro"]))
    raw = bytearray((GOLDEN / f"{name}{ending}").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    _decode_every_way(bytes(raw))
    _decode_every_way(bytes(raw[:cut]))


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(field=st.sampled_from(["clientID", "label", "value", "mode", "timestamp"]), value=_values)
def test_any_json_value_in_any_field_raises_nothing_but_the_schema_error(
    field: str, value: object
) -> None:
    import json

    body = json.loads((GOLDEN / "learning.json").read_bytes())
    body["message"][field] = value
    _decode_every_way(json.dumps(body).encode())


def _decode_every_way(raw: bytes) -> None:
    for decode in (
        json_form.decode_latent_json,
        avro_form.decode_latent_avro,
        avro_form.decode_dead_letter,
        DeadLetter.from_json,
        lambda raw: json_form.decode_answer_json(raw, Reply),
        lambda raw: avro_form.decode_answer_avro(raw, Reply),
        lambda raw: json_form.decode_answer_json(raw, Refusal),
        lambda raw: avro_form.decode_answer_avro(raw, Refusal),
    ):
        with suppress(SchemaError):
            message = decode(raw)
            if isinstance(message, LatentMessage) and message.value.dtype == "float32":
                assert np.isfinite(message.value.to_numpy()).all()


_BODY = (
    b'{"message":{"clientID":"app2","label":"hand","value":[0.5,1],"mode":"learning",'
    b'"timestamp":"2017-04-28 13:10:02"}}'
)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b"0.5", b"true", "value[0]"),
        (b"0.5", b"1e300", "value[0]"),
        (b"0.5", b'"0.5"', "value[0]"),
        (b"0.5", b"[0.5]", "value[0]"),
        (b"0.5", b"null", "value[0]"),
        (b"[0.5,1]", b"[]", "value"),
        (b"[0.5,1]", b"0.5", "value"),
        (b'"label":"hand"', b'"label":""', "label"),
        (b'"label":"hand"', b'"label":" hand"', "label"),
        (b'"label":"hand"', b'"label":"ha\\u0000nd"', "label"),
        (b'"label":"hand",', b"", "label"),
        (b"learning", b"teaching", "mode"),
        (b"learning", b"service", "label"),
        (b"2017-04-28", b"2017-02-30", "timestamp"),
        (b"28 13:10:02", b"28T13:10:02", "timestamp"),
        (b'"app2"', b'"App 2"', "clientID"),
        (b'"app2"', b'"app2","extra":1', "message"),
        (b'"app2"', b'"app2","shape":' + str([2] * 1000).encode(), "shape"),
        (b'"app2"', b'"app2","messageID":"018f4d2e-7c1a-4bcd-8ef0-123456789abc"', "messageID"),
        (
            b'"app2"',
            b'"app2","aggregate":{"kind":"mean","count":9223372036854775808}',
            "aggregate.count",
        ),
        (b'"label":"hand"', b'"label":"cafe\xcc\x81"', "label"),
        (b'"app2"', b'"app2","messageID":"7"', "messageID"),
        (b'"app2"', b'"app2","encoderID":"7"', "encoderID"),
        (b'"app2"', b'"app2","dtype":"int8"', "value[0]"),
        (b'"app2"', b'"app2","dtype":"float16"', "dtype"),
        (b'"app2"', b'"app2","shape":[3]', "shape"),
        (b'"app2"', b'"app2","aggregate":{"kind":"mean","count":0}', "aggregate.count"),
        (b'"app2"', b'"app2","privacy":{"mechanism":"g","epsilon":-1}', "privacy.epsilon"),
        (b'"app2"', b'"app2","privacy":{"mechanism":"g","guarantee":true}', "privacy.guarantee"),
    ],
)
def test_an_error_names_the_field(old: bytes, new: bytes, field: str) -> None:
    assert json_form.decode_latent_json(_BODY)
    with pytest.raises(SchemaError) as caught:
        json_form.decode_latent_json(_BODY.replace(old, new, 1))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (_BODY.replace(b"0.5", b"NaN"), "NaN is no JSON number"),
        (_BODY.replace(b"0.5", b"-Infinity"), "-Infinity is no JSON number"),
        (_BODY.replace(b"hand", b"h\xe4nd"), "not UTF-8: byte 0xe4 at position 40"),
        (_BODY[:-1], "is not JSON"),
        (_BODY.replace(b'"app2"', b'"app2","clientID":"app3"'), "'clientID' stands twice"),
        (_BODY.replace(b'"app2"', b'"app2","client\\u0049D":"app3"'), "'clientID' stands twice"),
        (b"[1]", "a JSON object is expected, not a list"),
        (b'{"messages":{}}', 'one object {"message": {...}}'),
        (b"", "is not JSON"),
    ],
)
def test_an_error_about_the_whole_says_what_is_wrong(raw: bytes, reason: str) -> None:
    with pytest.raises(SchemaError) as caught:
        json_form.decode_latent_json(raw)
    assert reason in caught.value.reason


def test_avro_errors_say_what_is_wrong() -> None:
    raw = avro_form.encode_avro(messages.full_learning())
    for damaged, reason in (
        (raw[:-3], "damaged Avro"),
        (raw + b"\0", "1 bytes after the end"),
        (raw[:2] + bytes(8) + raw[10:], "fingerprint 0000000000000000 is unknown"),
        (b"{}", "must begin with C3 01"),
        (avro_form.encode_avro(messages.examples()["reply"]), "holds a reply.v1"),
    ):
        with pytest.raises(SchemaError) as caught:
            avro_form.decode_latent_avro(damaged)
        assert reason in str(caught.value)


def test_an_unknown_fingerprint_is_refused_with_the_known_ones() -> None:
    raw = avro_form.encode_avro(messages.full_learning())
    with pytest.raises(SchemaError) as caught:
        avro_form.decode_latent_avro(raw[:2] + bytes(8) + raw[10:])
    for name, fingerprint in FINGERPRINTS.items():
        assert f"{fingerprint} ({name})" in caught.value.reason


def test_avro_requires_what_json_may_leave_out() -> None:
    with pytest.raises(SchemaError, match="messageID: is missing"):
        avro_form.encode_avro(messages.paper_learning())
