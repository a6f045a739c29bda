"""What is too large is refused before work is done on it, and its record is parsed once."""

import json
import tracemalloc
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.wire import avro_form, json_form
from stream.exchange.codec import decode_answer, decode_request, find_sender
from stream.exchange.exchanges import LEARNING, UNCOMPRESSED_LIMIT
from stream.kafka.record import Record
from tests.support import messages

AVRO: Headers = [(names.CONTENT_TYPE, avro_form.CONTENT_TYPE.encode())]
HUGE = 1_900_000
CLIENT = "radiology-1"


def as_json(**changes: Any) -> bytes:
    """Return a good message with fields changed; ``a.b`` is the field b of a."""
    document = json.loads(json_form.encode_json(messages.full_learning()))
    for name, value in changes.items():
        *path, last = name.split("__")
        place = document["message"]
        for part in path:
            place = place[part]
        place[last] = value
    return orjson.dumps(document)


_good = avro_form.encode_avro(messages.full_learning())
_shape = _good.index(b"\x04\x04\x04\x00")  # two sizes, 2 and 2, no more
_map = _good.index(b"\x04\x08clip")  # two parameters
_ENDLESS = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # 2**63 - 1 as Avro's zigzag varint
_BLOCK = b"\xff\xff\xff\x0f"  # -2**24: a block with its size behind


@dataclass(frozen=True)
class Case:
    """A record, the field that its refusal names, and a word of the reason."""

    name: str
    body: bytes
    field: str | None
    reason: str
    headers: Headers = ()
    told: bool = True  # who has sent it can be known


def text(field: str, reason: str, value: str = "x" * HUGE) -> Case:
    return Case(field, as_json(**{field.replace(".", "__"): value}), field, reason)


CASES = [
    *(text(field, "is not") for field in ("messageID", "encoderID", "imageID", "subject")),
    Case("clientID", as_json(clientID="x" * HUGE), "clientID", "is not", told=False),
    text("label", "characters"),
    text("policy", "is not"),
    text("mode", "neither"),
    text("timestamp", "is not a time"),
    text("dtype", "is none of"),
    text("aggregate.kind", "is none of"),
    *(
        text(f"privacy.{field}", "2000 are allowed")
        for field in ("mechanism", "unit", "adjacency", "ledgerHead")
    ),
    Case(
        "a parameter",
        as_json(privacy__parameters={"k" * HUGE: 1}),
        "privacy.parameters",
        "too long a name",
    ),
    Case(
        "parameters",
        as_json(privacy__parameters={str(n): n for n in range(129)}),
        "privacy.parameters",
        "128 are allowed",
    ),
    Case(
        "100,000 parameters",
        as_json(privacy__parameters={str(n): n for n in range(100_000)}),
        None,
        "no message has",
        told=False,
    ),
    Case("lists", as_json(value=[[]] * 600_000), None, "no message has", told=False),
    Case("objects", as_json(value=[{}] * 600_000), None, "no message has", told=False),
    Case("texts", as_json(value=["\u00e4"] * 300_000), None, "no message has", told=False),
    Case("lists in lists", b"[" * HUGE, None, "no message has", told=False),
    Case("shape", as_json(shape=[1] * 900_000), "shape", "is not a list of sizes"),
    Case("a text of a number", as_json(value=["1" * HUGE]), "value[0]", "is not a int8 number"),
    Case("blanks", b" " * (UNCOMPRESSED_LIMIT + 1), None, "bytes uncompressed", told=False),
    Case("headers", as_json(), None, "with key and headers", [("x", bytes(HUGE))] * 2, told=False),
    Case("name of a header", as_json(), None, "with key", [("x" * HUGE, b"")] * 2, told=False),
    Case(
        "client in a header",
        as_json(),
        names.CLIENT,
        "says 'xxx",
        [(names.CLIENT, b"x" * HUGE)],
        told=True,
    ),
    Case(
        "content type",
        as_json(),
        names.CONTENT_TYPE,
        "is neither",
        [(names.CONTENT_TYPE, b"x" * HUGE)],
    ),
    *(
        Case(f"Avro, {name}", body, None, reason, AVRO, told=False)
        for name, body, reason in [
            ("shape", _good[:_shape] + b"\xc0\x9a\x0c" + b"\x02" * HUGE, "does not begin"),
            (
                "blocks of shape",
                _good[:_shape] + b"\x02\x02" * (HUGE // 2),
                "does not begin",
            ),
            ("endless shape", _good[:_shape] + _ENDLESS + bytes(HUGE), "does not begin"),
            (
                "endless block",
                _good[:_shape] + _BLOCK + b"\x02" + bytes(HUGE),
                "does not begin",
            ),
            ("endless shape, cut", _good[:_shape] + _ENDLESS, "damaged Avro"),
            ("endless map", _good[:_map] + _ENDLESS, "damaged Avro"),
            ("endless block of a map", _good[:_map] + _BLOCK + b"\x02", "damaged Avro"),
            (
                "label",
                _good.replace(b"\x16chest x-ray", b"\xc0\xf7\xe7\x01" + b"x" * HUGE),
                "does not begin",
            ),
        ]
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_too_large_is_refused_before_work_is_done(case: Case) -> None:
    record = Record("ioa.learning", 0, 0, 0, None, case.body, case.headers)
    tracemalloc.start()
    with pytest.raises(SchemaError) as caught:
        decode_request(record, LEARNING, cluster_id="c")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.field == case.field
    assert case.reason in caught.value.reason
    assert len(str(caught.value)) < 500
    assert most < 32 * 2**20
    sender = find_sender(record, caught.value.stated, "c")
    assert sender.client_id == (CLIENT if case.told else None)


@pytest.mark.parametrize("kind", [LatentMessage, Aggregate, Privacy])
def test_each_text_has_a_limit(kind: Any) -> None:
    texts = {field.name for field in kind.FIELDS.fields if field.kind is str}
    prefix = "" if kind is LatentMessage else f"{kind.__name__.lower()}."
    assert {f"{prefix}{text}" for text in texts} <= {case.name for case in CASES}


def test_a_refused_record_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    parse = orjson.loads

    def count(raw: bytes) -> Any:
        parsed.append(raw)
        return parse(raw)

    monkeypatch.setattr(orjson, "loads", count)
    record = Record("ioa.learning", 0, 0, 0, None, as_json(label="x" * 300), [])
    with pytest.raises(SchemaError) as caught:
        decode_request(record, LEARNING, cluster_id="c")
    assert find_sender(record, caught.value.stated, "c").client_id == CLIENT
    assert len(parsed) == 1


def test_an_answer_that_is_too_large_is_refused() -> None:
    body = b" " * (UNCOMPRESSED_LIMIT + 1)
    with pytest.raises(SchemaError, match="uncompressed"):
        decode_answer(Record("r", 0, 0, 0, None, body, [(names.KIND, b"reply")]))
