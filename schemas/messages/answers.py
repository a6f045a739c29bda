"""The messages from the server: replies, acknowledgements and refusals (paper, section III-E)."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar

from schemas.messages.fields import TEXT_MAX, Field, FieldTable


@dataclass(slots=True)
class Answer:
    """The fields of every answer; only its three kinds below are sent."""

    client_id: str
    label: str
    timestamp: datetime
    in_reply_to: str | None = None
    message_id: str | None = None

    FIELDS: ClassVar[FieldTable] = FieldTable(
        Field("client_id", "clientID", str, required=True),
        Field("label", "label", str, required=True),
        Field("timestamp", "timestamp", str, required=True),
        Field("in_reply_to", "inReplyTo", str),
        Field("message_id", "messageID", str),
    )


@dataclass(slots=True)
class Reply(Answer):
    """The answer to a service message. ``label`` is empty if ``error`` says why there is none."""

    encoder_id: str | None = None
    model_version: str | None = None
    probabilities: dict[str, float] | None = None
    abstained: bool | None = None
    error: str | None = None

    FIELDS: ClassVar[FieldTable] = FieldTable(
        *Answer.FIELDS.fields,
        Field("encoder_id", "encoderID", str),
        Field("model_version", "modelVersion", str),
        Field("probabilities", "probabilities", dict, limit=2_000),
        Field("abstained", "abstained", bool),
        Field("error", "error", str, limit=TEXT_MAX),
    )


@dataclass(slots=True)
class Acknowledgement(Answer):
    """The learning message ``in_reply_to`` is in the database, under ``label``."""


@dataclass(slots=True)
class Refusal(Answer):
    """The learning message ``in_reply_to`` went to the dead letters, because of ``error``."""

    error: str | None = None
    field: str | None = None

    FIELDS: ClassVar[FieldTable] = FieldTable(
        *Answer.FIELDS.fields,
        Field("error", "error", str, limit=TEXT_MAX),
        Field("field", "field", str, limit=TEXT_MAX),
    )


AnswerT = TypeVar("AnswerT", bound=Answer)
