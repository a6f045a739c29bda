"""Learning messages into the database, each exactly once.

The order of effects for each batch: dead letters are delivered; rows and the positions behind them
are committed in one transaction; acknowledgements and refusals are delivered. After a crash before
the commit nothing of the batch is in the database, and it is read again. After a crash behind the
commit, clients without an answer send again: the unique ``message_id`` keeps rows single.

Under one id the content that was stored first stays. Only the transaction that stores a message
shows that its id is taken, so it is then given up, and repeated once the dead letter is delivered.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from schemas.errors import SchemaError
from schemas.messages.answers import Refusal
from schemas.messages.validation import cut_text
from server_classifier.intake.admission import Admission
from server_classifier.intake.positions import HeldPositions
from server_classifier.intake.screening import (
    Screened,
    find_senders,
    log_refusals,
    screen_records,
    to_row,
)
from server_classifier.operations.metrics import LabelMetrics, count_learning
from server_classifier.operations.service import DatabaseWatch, open_service_context, prepare_live
from server_classifier.settings import ServerSettings
from server_classifier.store.database import writing
from server_classifier.store.errors import PositionLost, StoreUnavailable
from server_classifier.store.latents.contents import find_conflicts
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import insert_latents
from stream.errors import DeliveryFailed, DependencyDown, PartitionLost
from stream.exchange.codec import Sender
from stream.exchange.exchanges import LEARNING
from stream.exchange.responder import Responder
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.repeated_log import RepeatedLog

Now = Callable[[], datetime]
_BATCH_SIZE = 2000
_ID_TAKEN = SchemaError(
    "another message is stored under this id, and stays; send this one with an id of its own",
    "messageID",
)
_LINGER_MS = 5  # acknowledgements travel together


class _IdsTaken(Exception):
    """Ends a transaction; ``places``, partition and offset, are of what cannot be stored."""

    def __init__(self, taken: Sequence[LatentRow]) -> None:
        super().__init__()
        self.places = {(row.partition, row.kafka_offset) for row in taken}


@dataclass(slots=True)
class _Batch:
    """The records of one batch, what becomes of them, and how much of it is done."""

    records: Sequence[Record]
    screened: Screened
    dead_lettered: int = 0  # of the refused ones, in their order
    stored: int | None = None


def run_ingest(kafka: KafkaSettings, settings: ServerSettings, stop: Event) -> None:
    """Store learning messages until ``stop`` is set."""
    context = open_service_context(kafka, settings, stop, prepare_live)
    if context is None:
        return
    now: Now = partial(datetime.now, UTC)
    owner = f"ingest {settings.instance} ({socket.gethostname()}, process {os.getpid()})"
    positions = HeldPositions(context.engine, owner=owner, now=now)
    ingester = Ingester(
        context.engine,
        Admission(context.engine, settings.labels, time.monotonic, settings.max_labels),
        context.make_responder(linger_ms=_LINGER_MS),
        positions,
        cluster_id=context.cluster_id,
        now=now,
        registry=context.monitor.registry,
    )
    watch = DatabaseWatch(positions.check, context.monitor.health, time.monotonic)
    topic = context.topics.of(LEARNING)
    consumer = context.make_consumer(
        topic, group="ingest", batch_size=_BATCH_SIZE, find_starts=positions.take
    )

    def rest() -> None:
        watch.poll()
        ingester.refusals.report()

    structlog.get_logger().info("ready")
    with closing(context):
        consumer.run(context.measure(ingester.handle), stop, each_turn=rest)
        ingester.refusals.report(all_now=True)


class Ingester:
    """Handles batches of records from the learning topic.

    Args:
        positions: of the partitions that the records come from.
        registry: takes the metrics.
    """

    def __init__(
        self,
        engine: Engine,
        admission: Admission,
        responder: Responder,
        positions: HeldPositions,
        *,
        cluster_id: str,
        now: Now,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._responder = responder
        self._positions = positions
        self._cluster_id = cluster_id
        self._now = now
        self._outcomes = count_learning(registry)
        self._labels = LabelMetrics(registry, admission.labels.maximum)
        self._batch: _Batch | None = None
        self.refusals = RepeatedLog("refused")
        self._log = structlog.get_logger()

    def handle(self, records: Sequence[Record]) -> None:
        """Dead-letter what cannot be used, store the rest, and answer both.

        Called again with the same list it goes on where it was: no dead letter or row is repeated.

        Raises:
            DependencyDown: the database or the broker is away; a repetition loses nothing.
            PartitionLost: another process reads this partition now; nothing was stored.
        """
        try:
            batch = self._resume(records)
            while batch.stored is None:
                self._send_dead_letters(batch)
                self._store(batch)
            self._answer(batch.screened)
        except (StoreUnavailable, DeliveryFailed) as error:
            raise DependencyDown(str(error), error.dependency) from error
        except PositionLost as error:
            self._batch = None
            raise PartitionLost(str(error)) from error
        self._batch = None
        self._report(batch)

    def _resume(self, records: Sequence[Record]) -> _Batch:
        if self._batch is None or self._batch.records is not records:
            self._batch = None
            screened = screen_records(
                records, self._admission, exchange=LEARNING, cluster_id=self._cluster_id
            )
            find_senders(screened, self._admission, exchange=LEARNING, cluster_id=self._cluster_id)
            self._batch = _Batch(records, screened)
        return self._batch

    def _report(self, batch: _Batch) -> None:
        stored, refused = batch.stored or 0, len(batch.screened.refused)
        known = len(batch.screened.admitted) - stored
        self._outcomes.count(stored=stored, known=known, refused=refused)
        log_refusals(batch.screened.refused, self.refusals)
        self._labels.show(len(self._admission.labels.taken))
        self._log.info(
            "batch ingested",
            records=len(batch.records),
            stored=stored,
            known=known,
            dead_letters=refused,
        )

    def _send_dead_letters(self, batch: _Batch) -> None:
        refused = batch.screened.refused[batch.dead_lettered :]
        for one in refused:
            self._responder.dead_letter(one.record, one.error)
        self._responder.flush()
        batch.dead_lettered += len(refused)

    def _store(self, batch: _Batch) -> None:
        """Store the batch; where an id is taken, store nothing and refuse that message."""
        rows = [to_row(admitted) for admitted in batch.screened.admitted]
        try:
            with writing(self._engine) as connection:
                # Positions first: a process that lost one finds out before it has written anything.
                moved = self._positions.move(connection, batch.records)
                known = insert_latents(connection, rows)
                if taken := find_conflicts(connection, known):
                    raise _IdsTaken(taken)
        except _IdsTaken as error:
            batch.screened.refuse(error.places, _ID_TAKEN)
            return
        self._positions.keep(moved)
        batch.stored = len(rows) - len(known)

    def _answer(self, screened: Screened) -> None:
        now = self._now()
        self._responder.acknowledge((admitted.received for admitted in screened.admitted), now)
        for refused in screened.refused:
            if (sender := refused.sender) is not None:
                refusal = _make_refusal(sender, refused.error, now)
                self._responder.answer(refused.record, refusal, paper_only=sender.paper_only)
        self._responder.flush()


def _make_refusal(sender: Sender, error: SchemaError, now: datetime) -> Refusal:
    return Refusal(
        sender.client_id or "",
        "",
        now,
        sender.message_id,
        error=cut_text(error.reason),
        field=None if error.field is None else cut_text(error.field),
    )
