"""The same labels are accepted by client, server and settings, in every version of Python."""

import json
import sys
import unicodedata
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from client_autoencoder.errors import InputError
from client_autoencoder.images.given import check_given_labels
from schemas.errors import SchemaError
from schemas.messages.labels import LABEL_MAX, check_label
from schemas.wire.avro_form import decode_latent_avro, encode_avro
from schemas.wire.json_form import decode_latent_json, encode_json
from server_classifier.settings import ServerSettings
from tests.support import messages

ACCEPTED = {
    "common": "chest x-ray",
    "longest": "x" * LABEL_MAX,
    "many marks": "#1 (left/right), 50 % & more: 'a' \u2013 \"b\"",
    "accents": "Schädel-é",
    "right to left": "יד",
    "both directions": "hand יד hand",
    "Persian with a non-joiner": "می\u200cخو\u0627\u0647م",
    "Hindi with a joiner": "क्\u200dष",
    "Malayalam that ends with a joiner": "അവന്\u200d",
    "and a blank behind it": "അവന്\u200d x",
    "Sinhala with a joiner": "ශ්\u200dරී",
    "a family": "👨\u200d👩\u200d👧\u200d👦",
    "a burning heart with a selector": "❤\ufe0f\u200d🔥",
    "a colour of skin": "👍🏽",
    "a keycap": "1\ufe0f\u20e3",
    "a flag of two letters": "🇩🇪",
    "a flag of tags": "🏴" + "".join(chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f",
    "a pirate's flag": "🏴\u200d☠\ufe0f",
    "since Unicode 15": "\U0001fae8",
    "since Unicode 16": "\U0001fae9",
    "a letter since Unicode 18 or never": "\U000107be",
    "marks since Unicode 16 in an order of their own": "a\u0897\u0316",
    "unassigned so far": "\u0378\U0004abcd",
    "Chinese beyond the first plane": "\U00031350",
    "a Hangul filler": "\u3164",
    "a combining grapheme joiner": "a\u034fb",
}
REFUSED = {
    "a line": "a\nb",
    "zero": "a\0b",
    "delete": "a\x7fb",
    "a C1 control": "a\x85b",
    "a soft hyphen": "a\u00adb",
    "a bidirectional override": "a\u202eb",
    "a bidirectional isolate": "a\u2066b\u2069",
    "a mark of direction": "a\u200fb",
    "a zero-width space": "a\u200bb",
    "a word joiner": "a\u2060b",
    "a byte order mark": "\ufeffa",
    "a leading joiner": "\u200da",
    "a trailing joiner": "a\u200d",
    "a leading non-joiner": "\u200cمی",
    "a joiner before a blank": "a\u200d b",
    "a joiner behind a blank": "a \u200db",
    "two joiners": "a\u200d\u200db",
    "two joiners behind a virama": "क्\u200d\u200cष",
    "a joiner alone": "\u200d",
    "tags without a flag": "a\U000e0061\U000e007f",
    "a flag with a text in tags": "🏴" + "".join(chr(0xE0000 + ord(c)) for c in "secret" * 2),
    "a language tag": "\U000e0001a",
    "a separator of lines": "a\u2028b",
    "a separator of paragraphs": "a\u2029b",
    "a blank that keeps together": "a\u00a0b",
    "an ideographic space": "a\u3000b",
    "for private use": "\ue000",
    "for private use, beyond": "\U0010fffd",
    "a noncharacter": "\ufdd0",
    "the last one": "\U0010ffff",
    "reserved and invisible": "a\u2065b\U000e0fff",
    "a format character since Unicode 15": "\U00013439",
    "a leading blank": " a",
    "a trailing blank": "a ",
    "not composed": "e\u0301",
    "never composed": "\u0958",
    "marks out of order": "a\u0301\u0316\u0897",
    "too long": "x" * (LABEL_MAX + 1),
}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files("schemas").joinpath(name).read_bytes())
    return content


CONTENT = read("label_characters.json")
SCHEMA = Draft202012Validator(read("message.schema.json"))


def named(cases: dict[str, str]) -> Any:
    return pytest.mark.parametrize("label", cases.values(), ids=cases)


@named(ACCEPTED)
def test_accepted_everywhere(label: str) -> None:
    assert check_given_labels([label], 1) == [label]
    assert ServerSettings(labels=[label]).labels == [label]
    message = messages.full_learning()
    message.label = label
    body = encode_json(message)
    SCHEMA.validate(json.loads(body))
    assert decode_latent_json(body).label == decode_latent_avro(encode_avro(message)).label == label


@named(REFUSED)
def test_refused_everywhere(label: str) -> None:
    with pytest.raises(InputError, match=r"labels\[0\]"):
        check_given_labels([label], 1)
    with pytest.raises(ValueError, match="label"):
        ServerSettings(labels=[label])
    message = json.loads(encode_json(messages.full_learning()))
    message["message"]["label"] = label
    with pytest.raises(SchemaError, match="label"):
        decode_latent_json(json.dumps(message).encode())


def test_half_a_pair_of_surrogates_is_refused() -> None:
    with pytest.raises(SchemaError, match="control characters"):
        check_label("a\ud83d")


def read_ranges(texts: list[str]) -> set[str]:
    bounds = [text.split("-") for text in texts]
    return {chr(code) for pair in bounds for code in range(int(pair[0], 16), int(pair[-1], 16) + 1)}


def test_what_this_python_prints_is_accepted() -> None:
    """Version 0.1.0 stored what ``isprintable`` allowed, on any Python."""
    refused = {char for texts in CONTENT["refused"].values() for char in read_ranges(texts)}
    assert not any(char.isprintable() for char in refused)
    others = {chr(code) for code in range(sys.maxunicode + 1)} - refused
    newer = read_ranges(CONTENT["newer"])
    assert {char for char in others - newer if not char.isprintable()} == set()
    assert {unicodedata.category(char) for char in newer if not char.isprintable()} <= {"Cn"}
    if unicodedata.unidata_version == "14.0.0":
        assert newer == {char for char in others if unicodedata.category(char) == "Cn"}
