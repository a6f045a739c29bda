"""The messages from the server: replies, acknowledgements and refusals (section III-E)."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar


@dataclass(slots=True)
class Answer:
    """What every message from the server to a client says. Use one of the three below."""

    client_id: str
    label: str
    timestamp: datetime
    in_reply_to: str | None = None
    message_id: str | None = None


@dataclass(slots=True)
class Reply(Answer):
    """The answer to a service message. ``label`` is empty where ``error`` says why."""

    encoder_id: str | None = None
    model_version: str | None = None
    probabilities: dict[str, float] | None = None
    abstained: bool | None = None
    error: str | None = None


@dataclass(slots=True)
class Acknowledgement(Answer):
    """The learning message ``in_reply_to`` is in the database, under ``label``."""


@dataclass(slots=True)
class Refusal(Answer):
    """The learning message ``in_reply_to`` went to the dead letters, because of ``error``."""

    error: str | None = None
    field: str | None = None


AnswerT = TypeVar("AnswerT", bound=Answer)
ANSWER_NAMES = {
    "client_id": "clientID",
    "message_id": "messageID",
    "in_reply_to": "inReplyTo",
    "encoder_id": "encoderID",
    "model_version": "modelVersion",
}
"""Fields of an answer whose name on the wire differs from that of the attribute."""
