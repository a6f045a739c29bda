"""What becomes of a record: a row to store, or the reason why not; in live ingestion and replay."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.errors import SchemaError
from schemas.messages.message import Mode
from server_classifier.intake.admission import Admission, Admitted
from server_classifier.store.latents.latent_row import LatentRow
from stream.exchange.codec import decode_latent
from stream.kafka.record import Record


@dataclass(slots=True)
class Refused:
    """A record that cannot be used, and why."""

    record: Record
    error: SchemaError


@dataclass(slots=True)
class Screened:
    """The records of one batch, each in one of the two lists."""

    admitted: list[Admitted] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def screen_records(
    records: Sequence[Record], admission: Admission, *, mode: Mode, cluster_id: str
) -> Screened:
    """Decode the records of the topic of ``mode`` and ask for each whether it may be used.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    admission.begin_batch()
    batch = Screened()
    for record in records:
        try:
            received = decode_latent(record, mode=mode, cluster_id=cluster_id)
            batch.admitted.append(admission.admit(received))
        except SchemaError as error:
            batch.refused.append(Refused(record, error))
    return batch


def to_row(admitted: Admitted) -> LatentRow:
    """Return what is stored of an admitted message."""
    record, message = admitted.received.record, admitted.received.message
    aggregate = message.aggregate
    return LatentRow(
        message_id=message.message_id or "",
        site=admitted.client.site,
        client_id=message.client_id,
        encoder_id=admitted.encoder.encoder_id,
        label=message.label,
        dtype=message.value.dtype,
        value=message.value.data,
        image_id=message.image_id,
        subject=message.subject,
        aggregate_kind=aggregate.kind if aggregate else "record",
        aggregate_count=aggregate.count if aggregate else 1,
        privacy=message.privacy.to_json() if message.privacy else None,
        policy=message.policy,
        sent_at=int(message.timestamp.timestamp() * 1000),
        received_at=record.timestamp,
        topic=record.topic,
        partition=record.partition,
        kafka_offset=record.offset,
    )
