"""The JSON Schema accepts the messages that the code writes and refuses what the code refuses."""

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from schemas.messages.validation import Message
from schemas.wire.json_form import encode_json
from tests.support import messages

SCHEMA: dict[str, Any] = json.loads(files("schemas").joinpath("message.schema.json").read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@given(messages.latent_messages() | messages.answers())
def test_every_message_we_write_is_valid(message: Message) -> None:
    VALIDATOR.validate(json.loads(encode_json(message)))


@pytest.mark.parametrize(
    "change",
    [
        {"clientID": "Upper"},
        {"label": ""},
        {"label": "x" * 257},
        {"value": []},
        {"value": ["1"]},
        {"value": [[1]]},
        {"mode": "teaching"},
        {"mode": "service"},
        {"timestamp": "2017-04-28T13:10:02"},
        {"messageID": "7"},
        {"encoderID": "ab"},
        {"dtype": "float16"},
        {"shape": [0]},
        {"extra": 1},
        {"aggregate": {"kind": "median", "count": 1}},
        {"privacy": {"epsilon": 1}},
    ],
    ids=str,
)
def test_what_the_code_refuses_the_schema_refuses(change: dict[str, Any]) -> None:
    document = json.loads(encode_json(messages.full_learning()))
    VALIDATOR.validate(document)
    document["message"] |= change
    assert not VALIDATOR.is_valid(document)
