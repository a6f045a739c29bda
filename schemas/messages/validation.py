"""The rules that every message keeps in either form, JSON or Avro."""

import math
import re
from datetime import UTC, datetime
from functools import lru_cache

from schemas.errors import SchemaError, shorten
from schemas.messages.answers import Answer, Reply
from schemas.messages.fields import TEXT_MAX
from schemas.messages.labels import check_label
from schemas.messages.latent import LABELLED, Aggregate, LatentMessage, Privacy

Message = LatentMessage | Answer

LARGEST_COUNT = 2**31 - 1
LEAST_QUERY_EPSILON = 8.0
"""With noise of this epsilon or less, the answer about one image is hardly better than chance."""
_PARAMETER_MAX = 128  # characters of its name
_CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}").fullmatch
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_UUID7 = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
).fullmatch
_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
_TOKEN = re.compile(r"[A-Za-z0-9_.:-]{1,128}").fullmatch
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d").fullmatch
_RULES = {
    "clientID": (_CLIENT_ID, "1 to 63 of a-z, 0-9 and '-', not starting with '-'"),
    "messageID": (_UUID7, "a UUID of version 7 in lower case"),
    "inReplyTo": (_UUID, "a UUID in lower case"),
    "encoderID": (_SHA256, "64 hexadecimal digits in lower case"),
    "policy": (_SHA256, "64 hexadecimal digits in lower case"),
    "imageID": (_TOKEN, "1 to 128 letters, digits and _.:-"),
    "subject": (_TOKEN, "1 to 128 letters, digits and _.:-"),
    "modelVersion": (_TOKEN, "1 to 128 letters, digits and _.:-"),
}


def check_name(field: str, value: str) -> None:
    """Check the form of an id or name.

    Raises:
        SchemaError: ``value`` does not have the form that ``field`` requires.
    """
    matches, expected = _RULES[field]
    if matches(value) is None:
        raise SchemaError(f"{shorten(value)} is not {expected}", field)


# Most messages repeat the same few names and labels. The cache keeps no errors.
_check_frequent_name = lru_cache(maxsize=1024)(check_name)


def parse_timestamp(text: str) -> datetime:
    """Read ``YYYY-MM-DD HH:MM:SS``, the form that the paper prints, as UTC.

    Raises:
        SchemaError: the text is not such a time.
    """
    try:
        if _TIMESTAMP(text) is None:
            raise ValueError(text)
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise SchemaError(
            f"{shorten(text)} is not a time in UTC such as 2017-04-28 13:10:02", "timestamp"
        ) from None


def format_timestamp(moment: datetime) -> str:
    """Write a time in the form that the paper prints, in UTC and whole seconds."""
    return moment.astimezone(UTC).isoformat(" ", "seconds")[:19]


def cut_text(text: str) -> str:
    """Return the text, cut if it is longer than a message may carry."""
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 3]}..."


def validate(message: Message) -> None:
    """Check every field of a message against the contract.

    Raises:
        SchemaError: names the first field at fault.
    """
    message.FIELDS.check_sizes(message)
    _check_frequent_name("clientID", message.client_id)
    check_label(message.label)
    if message.message_id is not None:
        check_name("messageID", message.message_id)
    if isinstance(message, LatentMessage):
        _validate_latent(message)
    else:
        if message.in_reply_to is not None:
            check_name("inReplyTo", message.in_reply_to)
        if isinstance(message, Reply):
            _validate_reply(message)


def _validate_latent(message: LatentMessage) -> None:
    if LABELLED[message.mode] and not message.label:
        raise SchemaError(f"is empty; a {message.mode} message needs one", "label")
    if message.label and not LABELLED[message.mode]:
        raise SchemaError(
            f"must be empty in {message.mode} mode: the server is asked for it", "label"
        )
    if message.encoder_id is not None:
        _check_frequent_name("encoderID", message.encoder_id)
    if message.image_id is not None:
        check_name("imageID", message.image_id)
    if message.subject is not None:
        check_name("subject", message.subject)
    if message.policy is not None:
        _check_frequent_name("policy", message.policy)
    if message.aggregate is not None:
        _validate_aggregate(message.aggregate)
    if message.privacy is not None:
        _validate_privacy(message.privacy)


def _validate_aggregate(aggregate: Aggregate) -> None:
    if not 1 <= aggregate.count <= LARGEST_COUNT or (
        aggregate.kind == "record" and aggregate.count != 1
    ):
        raise SchemaError(
            f"{aggregate.count} does not fit kind {aggregate.kind!r}", "aggregate.count"
        )


def _validate_privacy(privacy: Privacy) -> None:
    Privacy.FIELDS.check_sizes(privacy, "privacy.")
    if not privacy.mechanism:
        raise SchemaError("is empty; 'none' says that nothing was done", "privacy.mechanism")
    if privacy.ledger_sequence is not None and abs(privacy.ledger_sequence) >= 2**63:
        raise SchemaError("is no 64-bit number", "privacy.ledgerSequence")
    if privacy.epsilon is not None and not 0 < privacy.epsilon < math.inf:
        raise SchemaError(f"{privacy.epsilon} is not a positive number", "privacy.epsilon")
    if privacy.delta is not None and not 0 <= privacy.delta < 1:
        raise SchemaError(f"{privacy.delta} is not in [0, 1)", "privacy.delta")
    if privacy.guarantee and None in (privacy.epsilon, privacy.unit, privacy.adjacency):
        raise SchemaError("needs epsilon, unit and adjacency", "privacy.guarantee")
    for name, value in (privacy.parameters or {}).items():
        if len(name) > _PARAMETER_MAX:
            raise SchemaError(f"{shorten(name)} is too long a name", "privacy.parameters")
        if not abs(value) < math.inf:
            raise SchemaError(f"{shorten(name)} is not finite: {value}", "privacy.parameters")


def _validate_reply(reply: Reply) -> None:
    if reply.encoder_id is not None:
        _check_frequent_name("encoderID", reply.encoder_id)
    if reply.model_version is not None:
        _check_frequent_name("modelVersion", reply.model_version)
    for label, value in (reply.probabilities or {}).items():
        if not 0 <= value <= 1.0001:
            raise SchemaError(f"{value} of {shorten(label)} is none", "probabilities")
