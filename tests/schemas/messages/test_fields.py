"""The tables of fields agree with the classes, the Avro schemas and the JSON Schema."""

import json
from dataclasses import fields
from importlib.resources import files
from typing import Any

import pytest

from schemas.messages.answers import Acknowledgement, Refusal, Reply
from schemas.messages.dead_letter import DeadLetter
from schemas.messages.fields import FieldTable
from schemas.messages.latent import Aggregate, LatentMessage, Privacy
from schemas.wire.registry import DECLARATION, load_latent_halves, load_schema

JSON_SCHEMA = json.loads(files("schemas").joinpath("message.schema.json").read_bytes())["$defs"]
LATENT = JSON_SCHEMA["latent"]["properties"]
AVRO_SCHEMAS = {
    LatentMessage: "latent.v1",
    Reply: "reply.v1",
    Acknowledgement: "acknowledgement.v1",
    Refusal: "refusal.v1",
    DeadLetter: "dead_letter.v1",
}
JSON_TYPES = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": float,
    "object": dict,
    "string": str,
}


def name_parts(record: list[dict[str, Any]], name: str) -> set[str]:
    (parts,) = (field["type"]["fields"] for field in record if field["name"] == name)
    return {part["name"] for part in parts}


def resolve(rule: dict[str, Any]) -> type:
    """Return the type that a property of the JSON Schema has."""
    if "$ref" in rule:
        return resolve(JSON_SCHEMA[rule["$ref"].rpartition("/")[2]])
    return str if "enum" in rule else JSON_TYPES[rule["type"]]


@pytest.mark.parametrize("kind", [*AVRO_SCHEMAS, Aggregate, Privacy])
def test_the_constructor_takes_the_attributes_in_the_order_of_the_table(kind: Any) -> None:
    attributes = list(dict.fromkeys(field.attribute for field in kind.FIELDS.fields))
    assert attributes == [field.name for field in fields(kind) if field.init and not field.kw_only]


@pytest.mark.parametrize("kind", AVRO_SCHEMAS)
def test_the_names_are_those_of_the_avro_schema(kind: Any) -> None:
    published = load_schema(AVRO_SCHEMAS[kind]).parsed["fields"]
    assert set(kind.FIELDS.kinds) == {field["name"] for field in published}


def test_the_parts_of_a_latent_have_the_names_of_the_avro_schema() -> None:
    published = load_schema("latent.v1").parsed["fields"]
    assert set(Aggregate.FIELDS.kinds) == name_parts(published, "aggregate")
    assert set(Privacy.FIELDS.kinds) == name_parts(published, "privacy")
    assert [field["name"] for field in load_latent_halves("latent.v1")[1]["fields"]] == [
        *DECLARATION
    ]


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        pytest.param(LatentMessage.FIELDS, JSON_SCHEMA["latent"], id="latent"),
        pytest.param(Aggregate.FIELDS, LATENT["aggregate"], id="aggregate"),
        pytest.param(Privacy.FIELDS, LATENT["privacy"], id="privacy"),
        pytest.param(
            FieldTable(*dict.fromkeys(Reply.FIELDS.fields + Refusal.FIELDS.fields)),
            JSON_SCHEMA["answer"],
            id="answer",
        ),
    ],
)
def test_names_and_types_are_those_of_the_json_schema(
    table: FieldTable, schema: dict[str, Any]
) -> None:
    properties = schema["properties"]
    assert table.kinds == {name: resolve(rule) for name, rule in properties.items()}
    assert [*table.required] == schema["required"]
