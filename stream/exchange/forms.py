"""Messages to bytes and back; the ``content-type`` header chooses the form, JSON without it."""

from contextlib import suppress

from schemas.errors import SchemaError, explain_failure, shorten
from schemas.messages import headers
from schemas.messages.answers import AnswerT
from schemas.messages.latent import LatentMessage
from schemas.messages.validation import Message
from schemas.wire import avro_form, json_form


def encode(message: Message, content_type: str) -> bytes:
    """Write a message as JSON or Avro.

    Raises:
        SchemaError: the message breaks the contract.
    """
    if content_type == avro_form.CONTENT_TYPE:
        return avro_form.encode_avro(message)
    return json_form.encode_json(message)


def decode_latent(value: bytes, content_type: str | None) -> LatentMessage:
    """Read a learning or service message.

    Raises:
        SchemaError: names the field or header at fault.
    """
    if content_type == avro_form.CONTENT_TYPE:
        return avro_form.decode_latent_avro(value)
    if content_type in (None, json_form.CONTENT_TYPE):
        return json_form.decode_latent_json(value)
    error = SchemaError(
        f"{shorten(content_type)} is neither {json_form.CONTENT_TYPE} nor {avro_form.CONTENT_TYPE}",
        headers.CONTENT_TYPE,
    )
    fields: dict[str, object] = {}
    with suppress(SchemaError):  # often it is JSON all the same, and its sender can be told
        fields = json_form.parse_message(value)
    raise explain_failure(error, fields)


def decode_answer(kind: type[AnswerT], value: bytes, content_type: str | None) -> AnswerT:
    """Read a reply, acknowledgement or refusal.

    Raises:
        SchemaError: the body is damaged.
    """
    if content_type == avro_form.CONTENT_TYPE:
        return avro_form.decode_answer_avro(value, kind)
    return json_form.decode_answer_json(value, kind)
