"""Records that nobody should send: good messages, changed in every way that we could think of.

The same seed gives the same records, but for ids and times. A record is a message with odd fields,
written in Avro or JSON, whose bytes, size and headers are then changed in turn. In each of these
steps half of the records stay as they are, so that there are good ones among the others.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any, NamedTuple

import numpy as np
from fastavro import schemaless_writer

from schemas.messages import headers as names
from schemas.messages.dead_letter import Headers
from schemas.wire import avro_form, json_form
from schemas.wire.registry import load_schema
from stream.exchange.message_ids import make_message_id
from stream.kafka.producer import make_headers

Fields = dict[str, Any]
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
_LATENT = load_schema("latent.v1")
_AT = 1_796_047_200_000
_UNWRITABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
_SMALL, _STRONG = 600_000, ("gzip", "lz4", "zstd")
_LETTERS = "abcdefgh"
_OPTIONAL = ("imageID", "subject", "policy", "epsilon", "delta", "unit", "ledgerSequence")
_LABELS = ("chest", "hand", "head")
_NESTED = "@nested:{}@"
_DEPTHS = (10, 200, 990, 1015, 1024, 20_000)
_ODD_TEXTS = (
    *("", " ", "hand ", "a\0b", "a\x1bb", "cafe\u0301", "\ud800", "\U0010ffff", "\u202ehand"),
    *("\u200dhand", "\u0646\u200c\u0645", "\U0001f469\u200d\u2695\ufe0f"),
    *("h" * 256, "h" * 257, "h" * 5_000, "../../etc/passwd", "'; DROP TABLE latent; --"),
    *("none", "gaussian", "int8", "sum", "0" * 64, "018f4d2e-7c1a-7bcd-8ef0-123456789abc"),
    *("9999-12-31 23:59:59", "0000-00-00 00:00:00"),
)
_ODD_NUMBERS = (
    *(0, -1, 1, 2, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400),
    *(0.0, -0.0, 0.5, 1e-45, 1e9, 3.5e38, 1e300, float("nan"), float("inf"), float("-inf")),
)
_ODD_VALUES: tuple[Any, ...] = (
    *_ODD_TEXTS,
    *_ODD_NUMBERS,
    *(None, True, False, [], {}, [[]], [None], {"": None}, ["hand"], [0.5] * 3, [0] * 2_000),
    *map(_NESTED.format, _DEPTHS),
)
_ODD_BYTES = (
    *(b"", b"\0", b"\xff", b"\xff" * 9 + b"\x01", b"\x80" * 11, b"\x01", b"\xfe\xff\xff\xff\x0f"),
    *(b"\xc3\x01", _LATENT.fingerprint, b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\r\n"),
    *(b"NaN", b"-Infinity", b"1e999", b"01", b"0x1", b'"', b"\\u0000", b"{", b"]", b",,", b"//"),
    *(b'{"message":', b'"clientID":"stranger",', b"null", b"1" * 5_000),
)
_ODD_HEADERS: tuple[bytes | None, ...] = (
    *(None, b"", b"\xff\xfe", b"learning", b"service", b"reply", b"stranger", b"x" * 3_000),
    *(b"0", b"-1", b"1", b"99999999999999999999", b"1e3", b"253402300799000", b"018f4d2e"),
    *(b"application/json; charset=utf-8", b"Avro/Binary", b"AVRO/BINARY;v=1", b"text/xml", b";"),
)
_HEADER_NAMES = (
    *(name for key, name in sorted(vars(names).items()) if key.isupper()),
    *("", "own", "Content-Type", "\u00e9", "n" * 3_000),
)


class FuzzRecord(NamedTuple):
    """A record for the topic of ``exchange``, to be sent with that ``compression``."""

    exchange: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    compression: str


@dataclass
class Fuzzer:
    """Draws records of registered clients and an encoder whose latents have ``latent_dim`` numbers.

    Attributes:
        largest: bytes of the longest body. Of zstd batches that hold more than the default
            librdkafka cannot read all: it triples its guess of the size up to 100 MB at most.
        large_share: of the records, how many are longer than 1 kB up to ``largest``.
    """

    random: Random
    clients: Sequence[str]
    encoder_id: str
    latent_dim: int
    largest: int = 30_000_000
    large_share: float = 0.002

    def draw(self, count: int) -> Iterator[FuzzRecord]:
        """Yield ``count`` records; one in a hundred is one of the last again."""
        last: list[FuzzRecord] = []
        for _ in range(count):
            again = last and self.random.random() < 0.01
            record = self.random.choice(last) if again else self._make()
            last = [*last[-20:], record]
            yield record

    def _make(self) -> FuzzRecord:
        exchange = self.random.choice(("learning", "service"))
        fields = self._make_fields(exchange)
        headers = self._make_headers(exchange, fields)
        for _ in range(self._draw_few()):
            self._change_field(fields)
        value, content_type = self._encode(fields)
        for _ in range(self._draw_few()):
            value = self._change_bytes(value)
        if self.random.random() < self.large_share:
            value = self._enlarge(value)
        headers.append((names.CONTENT_TYPE, content_type.encode()))
        for _ in range(self._draw_few()):
            self._change_headers(headers)
        if self.random.random() < 0.02:
            exchange = "service" if exchange == "learning" else "learning"
        return FuzzRecord(
            exchange,
            self.random.choice(
                (None, b"", b"\xff\0key", str(fields.get("messageID")).encode("utf-8", "replace"))
            ),
            value if self.random.random() < 0.998 else None,
            headers,
            self._choose_compression(len(value)),
        )

    def _draw_few(self) -> int:
        """Return how often one part of a record is changed: mostly not at all."""
        return self.random.choices((0, 1, 2, 5), (50, 35, 10, 5))[0]

    def _make_fields(self, exchange: str) -> Fields:
        """Return a good message."""
        return {
            "messageID": make_message_id(int(time.time() * 1000), self.random.randbytes(10)),
            "clientID": self.random.choice(self.clients),
            "mode": exchange,
            "label": self.random.choice(_LABELS) if exchange == "learning" else "",
            "timestamp": "2026-11-30 14:00:00",
            "encoderID": self.encoder_id,
            "dtype": "float32",
            "shape": [self.latent_dim],
            "value": [self.random.uniform(-1, 1) for _ in range(self.latent_dim)],
            "aggregate": {"kind": "record", "count": 1},
            "privacy": {"mechanism": "none", "guarantee": False, "parameters": {}},
        }

    def _make_headers(self, exchange: str, fields: Fields) -> list[tuple[str, bytes | None]]:
        """Return the headers of a good record, or none, as in the paper."""
        if self.random.random() < 0.3:
            return []
        headers = make_headers(
            KIND=exchange, CLIENT=fields["clientID"], MESSAGE_ID=fields["messageID"]
        )
        if exchange == "service":
            seconds = self.random.choices((3_600, -60), (40, 1))[0]
            deadline = str(int(time.time() + seconds) * 1000)
            headers.append((names.DEADLINE, deadline.encode()))
        return headers

    def _change_field(self, fields: Fields) -> None:
        """Drop a field, add an unknown one, or make one odd."""
        inner = [fields, *(value for value in fields.values() if isinstance(value, dict))]
        part = self.random.choice(inner)
        name = self.random.choice([*part, "".join(self.random.choices(_LETTERS, k=5)), *_OPTIONAL])
        if self.random.random() < 0.2:
            part.pop(name, None)
            return
        like = part.get(name, "")
        odd = _ODD_TEXTS if isinstance(like, str) else _ODD_NUMBERS
        part[name] = deepcopy(self.random.choice(self.random.choice((odd, _ODD_VALUES))))

    def _encode(self, fields: Fields) -> tuple[bytes, str]:
        """Return the message in one of the two forms, in JSON if Avro cannot carry it."""
        if self.random.random() < 0.5:
            with suppress(*_UNWRITABLE):
                return _write_avro(fields), avro_form.CONTENT_TYPE
        return _write_json(fields), json_form.CONTENT_TYPE

    def _change_bytes(self, value: bytes) -> bytes:
        """Put odd bytes somewhere, over what stands there or before it; or cut or repeat a part."""
        start, end = sorted(self.random.randrange(len(value) + 1) for _ in range(2))
        odd = self.random.choice((*_ODD_BYTES, self.random.randbytes(self.random.randint(1, 4))))
        return self.random.choice(
            (
                value[:start] + odd + value[start + len(odd) :],
                value[:start] + odd + value[start:],
                value[:end],
                value[:end] + value[start:],
                odd + value[len(odd) :],
            )
        )

    def _enlarge(self, value: bytes) -> bytes:
        """Return the body with much of one letter at its end or inside."""
        drawn = math.exp(self.random.uniform(math.log(1_000), math.log(self.largest)))
        size = self.largest if self.random.random() < 0.05 else int(drawn)
        start = self.random.choice((1, len(value) // 2, len(value)))
        return value[:start] + self.random.choice((b" ", b"x", b"0", b"[")) * size + value[start:]

    def _change_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """Add odd headers, before or behind the good ones of the same name, or drop one."""
        if headers and self.random.random() < 0.2:
            headers.pop(self.random.randrange(len(headers)))
        for _ in range(self.random.choices((1, 20), (99, 1))[0]):
            odd = self.random.choice(_HEADER_NAMES), self.random.choice(_ODD_HEADERS)
            headers.insert(self.random.choice((0, len(headers))), odd)

    def _choose_compression(self, size: int) -> str:
        """Return one under which the broker takes a body of ``size`` bytes."""
        return self.random.choice(COMPRESSIONS if size < _SMALL else _STRONG)


def _write_avro(fields: Fields) -> bytes:
    """Return the Avro form, unchecked; fails on values that have not the type of their field."""
    body = BytesIO()
    with np.errstate(all="ignore"):
        numbers = np.array(fields["value"], fields["dtype"]).tobytes()
    schemaless_writer(body, _LATENT.parsed, fields | {"value": numbers, "timestamp": _AT})
    return b"\xc3\x01" + _LATENT.fingerprint + body.getvalue()


def _write_json(fields: Fields) -> bytes:
    """Return the JSON form, unchecked."""
    raw = json.dumps({"message": fields}).encode()
    for depth in _DEPTHS:
        nested = b"[0," * depth + b"0" + b"]" * depth
        raw = raw.replace(b'"%s"' % _NESTED.format(depth).encode(), nested)
    return raw
