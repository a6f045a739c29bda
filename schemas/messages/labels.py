"""Which texts are labels: one function for clients, server and settings.

``str.isprintable`` and ``unicodedata`` know another Unicode in every version of Python. So the
characters are those of ``label_characters.json`` beside the published schemas, which never changes.
"""

import re
import unicodedata
from bisect import bisect
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

from schemas.errors import SchemaError, shorten

LABEL_MAX = 256

_Bounds = Sequence[int]
"""Ranges of code points: the first of a range, the first behind it, the first of the next one."""


class _Characters(NamedTuple):
    """The content of ``label_characters.json``."""

    refused: _Bounds
    exceptions: re.Pattern[str]
    newer: _Bounds


@lru_cache(maxsize=1024)
def check_label(label: str) -> None:
    """Check a label.

    Raises:
        SchemaError: it is too long, has blanks at its ends or characters that are refused, or is
            not in NFC.
    """
    if len(label) > LABEL_MAX:
        raise SchemaError(f"has {len(label)} characters, {LABEL_MAX} are allowed", "label")
    if _has_refused(label):
        raise SchemaError(
            f"{shorten(label)} holds control characters, odd spaces, or others that are invisible "
            "or private",
            "label",
        )
    if not _is_normal(label):
        # Otherwise two labels that look the same would be two classes.
        raise SchemaError(f"{shorten(label)} is not in Unicode normal form C (NFC)", "label")
    if label != label.strip():
        raise SchemaError(f"{shorten(label)} begins or ends with a blank", "label")


def _has_refused(label: str) -> bool:
    refused, exceptions, _ = _load_characters()
    # Most labels need no exception; to look for them takes longer than all else.
    return _has_any(label, refused) and _has_any(exceptions.sub("", label), refused)


def _is_normal(label: str) -> bool:
    """Tell whether a label is in NFC by Unicode 14.0; what is newer stands apart from the rest."""
    if unicodedata.is_normalized("NFC", label):
        return True
    newer = _load_characters().newer
    older = "".join("?" if _has_any(char, newer) else char for char in label)
    return unicodedata.is_normalized("NFC", older)


def _has_any(text: str, bounds: _Bounds) -> bool:
    return any(bisect(bounds, ord(char)) % 2 for char in set(text))


@cache
def _load_characters() -> _Characters:
    content: dict[str, Any] = orjson.loads(
        files("schemas").joinpath("label_characters.json").read_bytes()
    )
    return _Characters(
        _read_ranges(text for ranges in content["refused"].values() for text in ranges),
        re.compile("|".join(content["exceptions"].values())),
        _read_ranges(content["newer"]),
    )


def _read_ranges(texts: Iterable[str]) -> _Bounds:
    """Return the bounds of ranges such as ``200B-200F`` or ``FEFF``, none of which overlap."""
    ranges = (text.partition("-") for text in texts)
    pairs = sorted((int(first, 16), int(last or first, 16) + 1) for first, _, last in ranges)
    return [bound for pair in pairs for bound in pair]
