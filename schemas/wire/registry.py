"""The published Avro schemas, by name and by fingerprint.

A published .avsc is never edited, only followed by the next version. Old bytes decode for ever.
"""

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import fastavro
import orjson

SCHEMA_NAMES = (
    "latent.v1",
    "latent.v2",
    "reply.v1",
    "acknowledgement.v1",
    "refusal.v1",
    "dead_letter.v1",
)
DECLARATION = ("aggregate", "privacy", "policy")
"""The last fields of a latent message: what a site states about its latents, the same in most."""


class AvroSchema(NamedTuple):
    """A parsed schema and its 8-byte CRC-64-AVRO fingerprint, little-endian."""

    name: str
    parsed: Any
    fingerprint: bytes


@cache
def load_schema(name: str) -> AvroSchema:
    """Read one published schema, for example ``latent.v1``."""
    source = orjson.loads(files("schemas").joinpath(f"{name}.avsc").read_bytes())
    canonical = fastavro.schema.to_parsing_canonical_form(source)
    # fastavro prints the fingerprint in the byte order of Avro's single-object encoding.
    fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    return AvroSchema(name, fastavro.parse_schema(source), fingerprint)


@cache
def load_latent_halves(name: str) -> tuple[Any, Any]:
    """Return a latent schema cut in two: the fields before the declaration, and the declaration."""
    source = orjson.loads(files("schemas").joinpath(f"{name}.avsc").read_bytes())
    fields = source["fields"]
    cut = [field["name"] for field in fields].index(DECLARATION[0])
    first, second = ({**source, "fields": part} for part in (fields[:cut], fields[cut:]))
    return fastavro.parse_schema(first), fastavro.parse_schema(second)


@cache
def load_latent_head(name: str) -> Any:
    """Return the fields of a latent schema that stand before ``value``."""
    source = orjson.loads(files("schemas").joinpath(f"{name}.avsc").read_bytes())
    fields = source["fields"]
    cut = [field["name"] for field in fields].index("value")
    return fastavro.parse_schema({**source, "fields": fields[:cut]})


@cache
def load_fingerprints() -> dict[bytes, AvroSchema]:
    """Return every published schema by its fingerprint."""
    return {schema.fingerprint: schema for schema in map(load_schema, SCHEMA_NAMES)}
