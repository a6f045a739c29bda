"""What becomes of each record of a batch, for ingestion, replays and inference alike."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from schemas.errors import SchemaError, explain_failure
from schemas.messages.latent import LatentMessage
from schemas.messages.mechanisms import earn_guarantee
from server_classifier.intake.admission import Admission, Admitted
from server_classifier.intake.taken_labels import TakenLabels
from server_classifier.store.errors import StoreError
from server_classifier.store.latents.latent_row import LatentRow
from stream.exchange.codec import Sender, decode_request, find_sender, read_deadline
from stream.exchange.exchanges import Exchange
from stream.kafka.record import Record
from stream.repeated_log import RepeatedLog

# What no record can cause: the database is away, or is not as it should be.
_NOT_OF_A_RECORD = (StoreError, SQLAlchemyError, OSError)


@dataclass(slots=True)
class Refused:
    """A record that cannot be used, and why; ``sender`` is the client that gets a refusal."""

    record: Record
    error: SchemaError
    sender: Sender | None = None


@dataclass(slots=True)
class Screened:
    """The records of one batch, each in one of three lists.

    Attributes:
        late: for each expired question, how many seconds ago its deadline was.
    """

    admitted: list[Admitted] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def refuse(self, places: Collection[tuple[int, int]], error: SchemaError) -> None:
        """Refuse admitted messages of these partitions and offsets, and tell their senders."""
        admitted, self.admitted = self.admitted, []
        for one in admitted:
            record, message = one.received.record, one.received.message
            if (record.partition, record.offset) not in places:
                self.admitted.append(one)
                continue
            sender = Sender(message.client_id, message.message_id or "", one.received.paper_only)
            self.refused.append(Refused(record, error, sender))


def screen_records(
    records: Sequence[Record],
    admission: Admission,
    *,
    exchange: Exchange[LatentMessage],
    cluster_id: str,
    clock: Callable[[], float] | None = None,
) -> Screened:
    """Decode the records of the topic of ``exchange`` and decide for each whether it may be used.

    Whatever else goes wrong with one record refuses that record alone.

    Args:
        clock: seconds since the Unix epoch, for deadlines; without it nothing expires.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    admission.begin_batch()
    batch = Screened()
    for record in records:
        received = None
        try:
            received = decode_request(record, exchange, cluster_id=cluster_id)
            deadline = read_deadline(record) if clock else None
            if clock and deadline is not None and (late := clock() - deadline) > 0:
                batch.late.append(late)
            else:
                batch.admitted.append(admission.admit(received))
        except _NOT_OF_A_RECORD:
            raise
        except Exception as error:  # whatever it is, the next record must not suffer from it
            refusal = explain_failure(error, received.sender if received else {})
            batch.refused.append(Refused(record, refusal))
    _refuse_surplus_labels(batch, admission.labels)
    return batch


def _refuse_surplus_labels(batch: Screened, labels: TakenLabels) -> None:
    """Refuse the messages whose label is new and has no room."""
    # The label of a question is empty and takes no room.
    surplus = labels.find_surplus(filter(None, map(_label_of, batch.admitted)))
    if not surplus:
        return
    for admitted in batch.admitted:
        if (label := _label_of(admitted)) in surplus:
            received = admitted.received
            refusal = explain_failure(labels.refuse(label), received.sender)
            batch.refused.append(Refused(received.record, refusal))
    batch.admitted = [admitted for admitted in batch.admitted if _label_of(admitted) not in surplus]


def _label_of(admitted: Admitted) -> str:
    return admitted.received.message.label


def find_senders(
    batch: Screened, admission: Admission, *, exchange: Exchange[LatentMessage], cluster_id: str
) -> None:
    """Set the senders of the refused records that are told: the registered clients.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    for refused in batch.refused if exchange.told == "sender" else ():
        sender = find_sender(refused.record, refused.error.stated, cluster_id)
        refused.sender = sender if admission.knows_client(sender.client_id) else None


def log_refusals(refused: Sequence[Refused], log: RepeatedLog) -> None:
    """Log refusals by client and field, never what was sent."""
    for refusal in refused:
        client_id = refusal.sender.client_id if refusal.sender else None
        field, _, _ = (refusal.error.field or "").partition("[")  # the position would be many
        log.note(refusal.record.place, client=client_id, field=field or None)
    log.report()


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
        privacy=earn_guarantee(message.privacy).to_json() if message.privacy else None,
        policy=message.policy,
        sent_at=int(message.timestamp.timestamp() * 1000),
        received_at=record.timestamp,
        topic=record.topic,
        partition=record.partition,
        kafka_offset=record.offset,
    )
