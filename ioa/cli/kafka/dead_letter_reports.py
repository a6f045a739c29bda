"""What ``ioa dead-letter`` prints of one. Clients wrote it: control characters are escaped."""

import base64
from collections.abc import Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from schemas.messages.dead_letter import Origin

if TYPE_CHECKING:
    from stream.dead_letters.reader import Entry


def describe_entry(entry: "Entry", sent_again: Set[Origin]) -> str:
    """Return one line about a dead letter."""
    from stream.dead_letters.writer import format_origin

    dead_letter = entry.dead_letter
    parts = [
        str(entry.position),
        _format_time(entry.written_at),
        format_origin(dead_letter.origin),
        entry.client_id or "-",
        dead_letter.field or "-",
        dead_letter.reason,
    ]
    if dead_letter.stub is not None:
        parts.append("(stub)")
    if dead_letter.origin in sent_again:
        parts.append("(sent again)")
    return _escape("  ".join(parts))


def print_entry(entry: "Entry", sent_again: Set[Origin], *, body: bool) -> None:
    """Print all of a dead letter, its body on request: as text, or base64 where it is no text."""
    for name, value in to_json(entry, sent_again).items():
        typer.echo(f"{name:<14}{_escape(str(value))}")
    typer.echo(f"{'key':<14}{_show(entry.dead_letter.key)}")
    for name, value in entry.dead_letter.headers:
        typer.echo(f"header        {_escape(name)}: {_show(value)}")
    if body:
        typer.echo(f"body\n{_show(entry.dead_letter.value)}")


def to_json(
    entry: "Entry", sent_again: Set[Origin], *, headers: bool = False, body: bool = False
) -> dict[str, Any]:
    """Return a dead letter as a JSON object; keys, headers and bodies are base64."""
    dead_letter = entry.dead_letter
    document: dict[str, Any] = {
        "position": str(entry.position),
        "time": _format_time(entry.written_at),
        "topic": dead_letter.origin_topic,
        "partition": dead_letter.origin_partition,
        "offset": dead_letter.origin_offset,
        "arrived": _format_time(dead_letter.origin_timestamp),
        "client_id": entry.client_id,
        "message_id": entry.message_id,
        "field": dead_letter.field,
        "reason": dead_letter.reason,
        "bytes": entry.size,
        "stub_sha256": dead_letter.stub and dead_letter.stub.sha256,
        "sent_again": dead_letter.origin in sent_again,
    }
    if headers:
        document["key"] = _encode(dead_letter.key)
        document["headers"] = [[name, _encode(value)] for name, value in dead_letter.headers]
    if body:
        document["body"] = _encode(dead_letter.value)
    return document


def _format_time(milliseconds: int) -> str:
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "?"  # of a forged origin
    return moment.isoformat(timespec="seconds")


def _encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _show(data: bytes | None) -> str:
    """Return bytes as text where they are text, with nothing in it that moves the cursor."""
    if data is None:
        return "-"
    try:
        return _escape(data.decode(), keep="\n\t")
    except UnicodeDecodeError:
        return f"base64 {_encode(data)}"


def _escape(text: str, keep: str = "") -> str:
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )
