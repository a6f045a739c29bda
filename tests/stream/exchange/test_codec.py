"""Whatever the bytes of a record: its reader refuses that record, and raises nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.errors import SchemaError, shorten
from schemas.messages import headers as names
from schemas.messages.answers import Reply
from schemas.messages.dead_letter import Headers
from schemas.wire import avro_form, json_form
from schemas.wire.registry import load_schema
from stream.exchange.codec import decode_answer, decode_request, identify_sender
from stream.exchange.exchanges import LEARNING
from stream.kafka.record import Record
from tests.support import messages

MESSAGE: dict[str, Any] = {
    "clientID": "radiology-1",
    "label": "hand",
    "value": [0.5],
    "dtype": "float32",
    "shape": [1],
    "mode": "learning",
    "timestamp": "2026-01-01 00:00:00",
    "messageID": "018f4d2e-7c1a-7bcd-8ef0-123456789abc",
    "encoderID": "0" * 64,
    "imageID": "a",
    "subject": "b",
    "aggregate": {"kind": "record", "count": 1},
    "privacy": {"mechanism": "none", "guarantee": False, "parameters": {"a": 1}},
    "policy": "0" * 64,
}
AVRO: Headers = [(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())]
_MARK = "here it comes"


def make_body(field: str, raw: bytes) -> bytes:
    """Return a good message in which the value of one field is ``raw``."""
    text = json.dumps({"message": MESSAGE | {field: _MARK}}).encode()
    return text.replace(json.dumps(_MARK).encode(), raw)


def nest(depth: int, before: bytes = b"[0,", after: bytes = b"]") -> bytes:
    return before * depth + b"0" + after * depth


WRONG = {
    "null": b"null",
    "bool": b"true",
    "number": b"7",
    "text": b'"x"',
    "list": b"[]",
    "object": b"{}",
    "list of lists": b"[[1],[2]]",
    "1e400": b"1e400",
    "5000 digits": b"9" * 5000,
    "300 digits": b"9" * 300,
    "300 digits and a quote": b'["\\"",' + b"9" * 300 + b"]",
    "a fraction of 5000 digits": b"0." + b"9" * 5000,
    "lone surrogate": rb'"\ud800"',
    "lone low surrogate": rb'"\udfff"',
    "not UTF-8": b'"\xff\xfe"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "NUL": b'"a\\u0000b"',
    "raw NUL": b'"a\0b"',
    **{f"lists {depth}": nest(depth) for depth in (10, 500, 900, 1015, 1020, 5000, 100_000)},
    **{f"bare lists {depth}": nest(depth, b"[") for depth in (900, 1015, 1020, 100_000)},
    **{f"objects {depth}": nest(depth, b'{"a":', b"}") for depth in (10, 900, 1015, 100_000)},
    "objects in lists": nest(500, b'[0,{"a":', b"}]"),
}
BAD: dict[str, tuple[bytes | None, Headers]] = {
    f"{field}: {name}": (make_body(field, raw), [])
    for field in MESSAGE
    for name, raw in WRONG.items()
}
_latent = avro_form.encode_avro(messages.full_learning())
_head = b"\xc3\x01" + load_schema("latent.v1").fingerprint
_huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # 2**63 - 1 as Avro's zigzag varint
_negative = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # -2**63
BAD |= {
    "no value": (None, []),
    "empty": (b"", []),
    "NUL bytes": (bytes(100), []),
    "only nesting": (nest(1015), []),
    "nested message": (b'{"message":' + nest(1015) + b"}", []),
    "nested beside": (b'{"message":{},"a":' + nest(1015) + b"}", []),
    "byte order mark": (b"\xef\xbb\xbf" + make_body("label", b'"hand"'), []),
    "UTF-16": (make_body("label", b'"hand"').decode().encode("utf-16"), []),
    "a key of 1 MB": (b'{"message":{"' + b"k" * 10**6 + b'":1}}', []),
    "Avro, no value": (None, AVRO),
    "Avro, only a head": (_head, AVRO),
    "Avro, endless length": (_head + _huge, AVRO),
    "Avro, negative length": (_head + _negative, AVRO),
    "Avro, endless varint": (_head + b"\xff" * 1000, AVRO),
    "Avro, endless length inside": (_latent[:30] + _huge, AVRO),
    "Avro, text that is not UTF-8": (_head + b"\x04\xff\xfe", AVRO),
    "JSON called Avro": (make_body("label", b'"hand"'), AVRO),
    "Avro called JSON": (_latent, []),
} | {f"Avro, cut at {cut}": (_latent[:cut], AVRO) for cut in range(len(_latent))}
BAD |= {
    f"header {name} {text!r}": (make_body("label", b'"hand"'), [(name, text)])
    for name in (names.KIND, names.CLIENT, names.MESSAGE_ID)
    for text in (b"\0", b"", b"x" * 10**6)
} | {
    "content type": (make_body("label", b'"hand"'), [(names.CONTENT_TYPE, b"text/html")]),
}
# These are no errors: a header that is not ASCII counts as none.
_HARMLESS = [
    (make_body("label", b'"hand"'), [(name, text)])
    for name in (names.KIND, names.CLIENT, names.MESSAGE_ID, names.CONTENT_TYPE)
    for text in (b"\xff\xfe", "\u00e4".encode(), None)
]
_FITS = {"clientID: text", "label: text", "imageID: text", "subject: text"}  # no errors


@pytest.mark.parametrize("name", sorted(BAD.keys() - _FITS))
def test_a_hostile_record_is_refused_and_its_sender_looked_for(name: str) -> None:
    value, headers = BAD[name]
    record = Record("ioa.learning", 0, 0, 0, None, value, headers)
    with pytest.raises(SchemaError) as caught:
        decode_request(record, LEARNING, cluster_id="c")
    assert str(caught.value).encode()
    assert len(str(caught.value)) < 2_000
    identify_sender(record, "c")


@pytest.mark.parametrize("number", range(len(_HARMLESS)))
def test_a_header_that_is_not_ascii_counts_as_none(number: int) -> None:
    value, headers = _HARMLESS[number]
    record = Record("ioa.learning", 0, 0, 0, None, value, headers)
    assert decode_request(record, LEARNING, cluster_id="c").message.label == "hand"


@pytest.mark.parametrize("field", ["clientID", "label", "timestamp", "probabilities", "error"])
@pytest.mark.parametrize("name", sorted(WRONG.keys() - {"text", "object", "null"}))
def test_a_hostile_answer_is_refused(field: str, name: str) -> None:
    reply = Reply("radiology-1", "hand", datetime(2026, 1, 1, tzinfo=UTC), error="x")
    body = json.loads(json_form.encode_json(reply))["message"] | {field: _MARK}
    value = json.dumps({"message": body}).encode().replace(json.dumps(_MARK).encode(), WRONG[name])
    record = Record("ioa.replies.a", 0, 0, 0, None, value, [(names.KIND, b"reply")])
    if field == "error" and name == "NUL":
        assert decode_answer(record).error == "a\0b"  # type: ignore[attr-defined]
        return
    with pytest.raises(SchemaError):
        decode_answer(record)


def test_any_value_can_be_quoted() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    mapped: dict[str, Any] = {}
    for _ in range(100_000):
        mapped = {"a": mapped}
    for value in (nested, mapped, 10**5000, "\ud800", b"\xff", None, "x" * 10**6):
        assert 0 < len(shorten(value).encode()) < 120


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (form, text)
        for form, name in (("json", "application/json"), ("avro", "avro/binary"))
        for text in (
            name,
            name.upper(),
            name.title(),
            f"{name};charset=utf-8",
            f"{name}; charset=UTF-8",
            f"{name} ; charset=utf-8; v=1",
            f"{name};",
            f" {name}\t",
        )
    ],
)
def test_a_content_type_with_parameters_or_capitals_is_read(form: str, text: str) -> None:
    message = messages.full_learning()
    encode = avro_form.encode_avro if form == "avro" else json_form.encode_json
    headers = [(names.CONTENT_TYPE, text.encode())]
    record = Record("ioa.learning", 0, 0, 0, None, encode(message), headers)
    assert decode_request(record, LEARNING, cluster_id="c").message == message
    assert identify_sender(record, "c").client_id == message.client_id
    reply = messages.examples()["reply"]
    headers.append((names.KIND, b"reply"))
    answer = Record("ioa.replies.a", 0, 0, 0, None, encode(reply), headers)
    assert decode_answer(answer) == reply


@pytest.mark.parametrize(
    "text", ["text/json", "application/jsonp", "application", "json", ";application/json", ""]
)
def test_another_content_type_is_refused(text: str) -> None:
    value = json_form.encode_json(messages.full_learning())
    headers = [(names.CONTENT_TYPE, text.encode())]
    with pytest.raises(SchemaError, match="is neither application/json nor avro/binary"):
        decode_request(Record("t", 0, 0, 0, None, value, headers), LEARNING, cluster_id="c")
