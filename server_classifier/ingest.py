"""Learning messages into the database.

For each batch, in this order: rows are committed in one transaction; dead letters, acknowledgements
and refusals are delivered; and only then does the consumer move its offsets. A crash anywhere
repeats the batch: the unique ``message_id`` keeps rows single, and the client is told again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from threading import Event

import orjson
import structlog
from sqlalchemy import Engine

from schemas.errors import SchemaError
from schemas.messages import Acknowledgement, Privacy, Refusal
from schemas.validation import cut_text
from server_classifier.admission import Admission, Admitted
from server_classifier.service import await_surroundings
from server_classifier.settings import ServerSettings
from server_classifier.store.database import writing
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.latents import LatentRow, insert_latents
from stream.codec import Sender, decode_latent, identify_sender
from stream.errors import DeliveryFailed, DependencyDown
from stream.record import Record
from stream.responder import Responder
from stream.settings import KafkaSettings

Now = Callable[[], datetime]
_BATCH_SIZE = 2000


@dataclass(slots=True)
class _Refused:
    """A record that cannot be stored, why, and whom to tell if that is known."""

    record: Record
    error: SchemaError
    sender: Sender | None


@dataclass(slots=True)
class _Batch:
    """What becomes of the records of one batch."""

    admitted: list[Admitted] = field(default_factory=list)
    refused: list[_Refused] = field(default_factory=list)


def run_ingest(kafka: KafkaSettings, settings: ServerSettings, stop: Event) -> None:
    """Store learning messages until ``stop`` is set."""
    around = await_surroundings(kafka, settings, stop)
    if around is None:
        return
    ingester = Ingester(
        around.engine,
        Admission(around.engine, settings.labels, time.monotonic),
        around.make_responder(),
        cluster_id=around.cluster_id,
        now=lambda: datetime.now(UTC),
    )
    consumer = around.make_consumer(around.topics.learning, group="ingest", batch_size=_BATCH_SIZE)
    structlog.get_logger().info("ready")
    consumer.run(ingester.handle, stop)


class Ingester:
    """Handles batches of records from the learning topic."""

    def __init__(
        self,
        engine: Engine,
        admission: Admission,
        responder: Responder,
        *,
        cluster_id: str,
        now: Now,
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._responder = responder
        self._cluster_id = cluster_id
        self._now = now
        self._log = structlog.get_logger()

    def handle(self, records: Sequence[Record]) -> None:
        """Store what is good, bury what is not, and answer both.

        Raises:
            DependencyDown: the database or the broker is away; nothing is lost by a repetition.
        """
        try:
            batch = self._sort(records)
            with writing(self._engine) as connection:
                stored = insert_latents(connection, [_to_row(one) for one in batch.admitted])
            self._answer(batch)
            self._responder.flush()
        except (StoreUnavailable, DeliveryFailed) as error:
            raise DependencyDown(str(error)) from error
        self._log.info(
            "batch ingested",
            records=len(records),
            stored=stored,
            known=len(batch.admitted) - stored,
            dead_letters=len(batch.refused),
        )

    def _sort(self, records: Sequence[Record]) -> _Batch:
        self._admission.begin_batch()
        batch = _Batch()
        for record in records:
            try:
                received = decode_latent(record, mode="learning", cluster_id=self._cluster_id)
                batch.admitted.append(self._admission.admit(received))
            except SchemaError as error:
                batch.refused.append(_Refused(record, error, self._find_sender(record)))
        return batch

    def _find_sender(self, record: Record) -> Sender | None:
        sender = identify_sender(record, self._cluster_id)
        return sender if self._admission.knows_client(sender.client_id) else None

    def _answer(self, batch: _Batch) -> None:
        now = self._now()
        for one in batch.admitted:
            received = one.received
            message = received.message
            self._responder.answer(
                received.record,
                Acknowledgement(message.client_id, message.label, now, message.message_id),
                paper_only=received.paper_only,
            )
        for refused in batch.refused:
            self._responder.bury(refused.record, refused.error)
            if refused.sender is not None:
                self._responder.answer(
                    refused.record,
                    _refuse(refused.sender, refused.error, now),
                    paper_only=refused.sender.paper_only,
                )


def _refuse(sender: Sender, error: SchemaError, now: datetime) -> Refusal:
    return Refusal(
        sender.client_id or "",
        "",
        now,
        sender.message_id,
        error=cut_text(error.reason),
        field=None if error.field is None else cut_text(error.field),
    )


def _to_row(admitted: Admitted) -> LatentRow:
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
        privacy=_privacy_json(message.privacy),
        policy=message.policy,
        sent_at=int(message.timestamp.timestamp() * 1000),
        received_at=record.timestamp,
        topic=record.topic,
        part=record.partition,
        kafka_offset=record.offset,
    )


def _privacy_json(privacy: Privacy | None) -> str | None:
    return None if privacy is None else orjson.dumps(asdict(privacy)).decode()
