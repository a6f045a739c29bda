"""How manifests are written and read: as canonical JSON that names its format."""

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from schemas.errors import SchemaError, shorten
from schemas.strict_json import refuse_duplicates

ManifestT = TypeVar("ManifestT")


def name_on_wire(attribute: str) -> str:
    """Return ``last_latent_id`` as ``lastLatentID``."""
    first, *rest = attribute.split("_")
    return first + "".join("ID" if word == "id" else word.capitalize() for word in rest)


def write_manifest(fields: dict[str, Any], format_name: str) -> str:
    """Return canonical JSON: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    document = {name_on_wire(name): value for name, value in fields.items()}
    document["format"] = format_name
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def read_format(text: str | bytes) -> str | None:
    """Return the format that a manifest states, or None where it is no JSON object with one."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document.get("format") if isinstance(document, dict) else None


def read_manifest(
    text: str | bytes, adapter: TypeAdapter[ManifestT], format_name: str
) -> ManifestT:
    """Read what ``write_manifest`` wrote, or the same in other spacing.

    Raises:
        SchemaError: not JSON, a key stands twice, another format, or a field breaks the rules of
            ``adapter``; names the field, as ``quantiser.low``.
    """
    try:
        document = json.loads(text, object_pairs_hook=refuse_duplicates)
        if not isinstance(document, dict):
            raise SchemaError("the manifest is not a JSON object")
        if (stated := document.pop("format", None)) != format_name:
            raise SchemaError(f"{shorten(stated)} is not {format_name!r}", "format")
        return adapter.validate_json(json.dumps(document))
    except SchemaError:
        raise
    except ValidationError as error:
        raise _explain(error, format_name) from error
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"the manifest is not JSON: {error}") from error


def _explain(error: ValidationError, format_name: str) -> SchemaError:
    """Return the first fault that pydantic found."""
    fault = error.errors()[0]
    field = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    reasons = {
        "missing": f"is missing; {format_name} requires it",
        "unexpected_keyword_argument": f"is not a field of {format_name}",
    }
    reason = reasons.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return SchemaError(reason, field or None)
