"""The types of fields that several manifests have, with their bounds."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

Origin = Literal["public", "private"]

_LONGEST_TEXT = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _check_text(text: str) -> str:
    if not 0 < len(text) <= _LONGEST_TEXT:
        raise ValueError(f"is not a text of 1 to {_LONGEST_TEXT} letters")
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


def _check_sum(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("is not a sha256 sum of 64 hex digits")
    return text


def _check_file_name(name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise ValueError("is not a plain file name")
    if name.lower().startswith("decoder"):
        raise ValueError("a decoder restores images and is never published")
    return name


Text = Annotated[str, AfterValidator(_check_text)]
Sum = Annotated[str, AfterValidator(_check_sum)]
FileName = Annotated[str, AfterValidator(_check_file_name)]
Side = Annotated[int, Field(ge=1, le=8192)]
Number = Annotated[float, Field(ge=-1e30, le=1e30)]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a network was trained on. A network of ``private`` images is itself a release."""

    name: Text
    sha256: Sum
    images: Annotated[int, Field(ge=1, le=1 << 62)]
    origin: Origin
