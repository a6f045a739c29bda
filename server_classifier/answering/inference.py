"""Service messages to replies: what is waiting is answered with one matrix product."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

import numpy as np
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from schemas.errors import SchemaError
from schemas.messages.answers import Reply
from schemas.messages.validation import cut_text
from server_classifier.answering.prediction import Classifier
from server_classifier.intake.admission import Admission, Admitted
from server_classifier.operations.metrics import count_service
from server_classifier.operations.service import open_service_context
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import latest_classifier, latest_versions
from server_classifier.store.database import reading
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.replays import refuse_replay_of
from stream.errors import DeliveryFailed, DependencyDown
from stream.exchange.codec import Sender, decode_latent, identify_sender, read_deadline
from stream.exchange.responder import Responder
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings

NO_MODEL = (
    "no model yet: the server has not trained on latents of this encoder; "
    "send learning messages or ask again later"
)
OUT_OF_REACH = "the model finds no finite answer: this latent is far from all it has learned"
_REFRESH_SECONDS = 0.5
_BATCH_SIZE = 256
_LINGER_MS = 5  # never waited for: a batch is flushed as soon as all its answers are queued
_MOST_PROBABILITIES = 100  # so that no number of labels makes a reply too large to send


def run_infer(kafka: KafkaSettings, settings: ServerSettings, stop: Event) -> None:
    """Answer service messages until ``stop`` is set, with or without a trainer beside it."""
    context = open_service_context(kafka, settings, stop)
    if context is None:
        return
    shelf = ClassifierShelf(context.engine, time.monotonic)
    responder = context.make_responder(linger_ms=_LINGER_MS)
    inference = Inference(
        Admission(context.engine, None, time.monotonic),
        shelf,
        responder,
        cluster_id=context.cluster_id,
        clock=time.time,
        registry=context.monitor.registry,
    )
    consumer = context.make_consumer(context.topics.service, group="infer", batch_size=_BATCH_SIZE)
    with closing(context):
        refuse_replay_of(context.engine, context.cluster_id)
        structlog.get_logger().info("ready")
        consumer.run(context.measure(inference.handle), stop, when_idle=shelf.refresh)


class ClassifierShelf:
    """The newest classifier of each encoder, looked up in the database twice a second.

    Once loaded, classifiers go on answering while the database is away.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._loaded: dict[str, Classifier] = {}
        self._looked_at = float("-inf")
        self._log = structlog.get_logger()

    def find(self, encoder_id: str) -> Classifier | None:
        """Return the newest classifier for an encoder, or None before the first.

        Raises:
            StoreUnavailable: there is none in memory and the database does not answer.
        """
        self.refresh()
        if encoder_id not in self._loaded:
            # The first classifier may be younger than the last look.
            self._load_newest()
        return self._loaded.get(encoder_id)

    def refresh(self) -> None:
        """Look for newer classifiers, if the last look is old enough; a failure is only logged."""
        if self._clock() - self._looked_at < _REFRESH_SECONDS:
            return
        self._looked_at = self._clock()
        try:
            self._load_newest()
        except StoreUnavailable as error:
            self._log.error("answering from memory", error=str(error))

    def _load_newest(self) -> None:
        with reading(self._engine) as connection:
            for encoder_id, version in latest_versions(connection).items():
                current = self._loaded.get(encoder_id)
                if current is not None and current.version == version:
                    continue
                row = latest_classifier(connection, encoder_id)
                if row is not None:
                    self._loaded[encoder_id] = Classifier.load(row)
                    self._log.info("classifier loaded", version=row.version)


@dataclass(slots=True)
class _Sorted:
    """The records of one batch by what is to become of them.

    ``late`` holds by how many seconds each expired one is late.
    """

    admitted: dict[str, list[Admitted]] = field(default_factory=dict)
    refused: list[tuple[Record, SchemaError, Sender | None]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


class Inference:
    """Handles batches of records from the service topic.

    Args:
        clock: seconds since the Unix epoch.
        registry: takes the metrics.
    """

    def __init__(
        self,
        admission: Admission,
        shelf: ClassifierShelf,
        responder: Responder,
        *,
        cluster_id: str,
        clock: Callable[[], float],
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._admission = admission
        self._shelf = shelf
        self._responder = responder
        self._cluster_id = cluster_id
        self._clock = clock
        self._outcomes = count_service(registry)
        self._log = structlog.get_logger()

    def handle(self, records: Sequence[Record]) -> None:
        """Answer every record: with a label, or with the reason why there is none.

        Only what has expired is not answered: nobody waits for it any more.

        Raises:
            DependencyDown: the database is away and holds what is needed to answer.
        """
        try:
            self._admission.begin_batch()
            batch = self._sort(records)
            # All that may fail for a while comes before the first answer is queued.
            classifiers = {id: self._shelf.find(id) for id in batch.admitted}
            answered = sum(
                self._answer(requests, classifiers[encoder_id])
                for encoder_id, requests in batch.admitted.items()
            )
            for record, error, sender in batch.refused:
                self._refuse(record, error, sender)
            self._responder.flush()
        except (StoreUnavailable, DeliveryFailed) as error:
            raise DependencyDown(str(error), error.dependency) from error
        self._report(batch, answered)

    def _report(self, batch: _Sorted, answered: int) -> None:
        asked = sum(map(len, batch.admitted.values()))
        self._outcomes.count(
            answered=answered,
            unanswerable=asked - answered,
            refused=len(batch.refused),
            expired=len(batch.late),
        )
        if batch.late:
            self._log.warning(
                "requests expired",
                requests=len(batch.late),
                least_seconds_late=round(min(batch.late), 1),
                most_seconds_late=round(max(batch.late), 1),
                hint="by the server's clock; are those of the clients right?",
            )

    def _sort(self, records: Sequence[Record]) -> _Sorted:
        batch = _Sorted()
        for record in records:
            try:
                received = decode_latent(record, mode="service", cluster_id=self._cluster_id)
                late = self._measure_lateness(record)
                if late > 0:
                    batch.late.append(late)
                    continue
                one = self._admission.admit(received)
                batch.admitted.setdefault(one.encoder.encoder_id, []).append(one)
            except SchemaError as error:
                sender = identify_sender(record, self._cluster_id)
                known = self._admission.knows_client(sender.client_id)
                batch.refused.append((record, error, sender if known else None))
        return batch

    def _measure_lateness(self, record: Record) -> float:
        """Return how many seconds ago the deadline was; without a deadline nothing is late."""
        deadline = read_deadline(record)
        return 0.0 if deadline is None else self._clock() - deadline

    def _answer(self, requests: list[Admitted], classifier: Classifier | None) -> int:
        """Reply to all; return how many got a label."""
        if classifier is None:
            for request in requests:
                self._reply(request, error=NO_MODEL)
            return 0
        answered = 0
        probabilities = classifier.predict(np.stack([one.to_floats() for one in requests]))
        unusable = set(np.flatnonzero(~np.isfinite(probabilities).all(axis=1)))
        for number, (request, row) in enumerate(zip(requests, probabilities.tolist(), strict=True)):
            if number in unusable:
                self._reply(request, error=OUT_OF_REACH)
                continue
            ranked = sorted(zip(row, classifier.labels, strict=True), reverse=True)
            likeliest = {label: value for value, label in ranked[:_MOST_PROBABILITIES]}
            self._reply(request, likeliest, classifier.version)
            answered += 1
        return answered

    def _reply(
        self,
        request: Admitted,
        probabilities: dict[str, float] | None = None,
        version: str | None = None,
        error: str | None = None,
    ) -> None:
        received = request.received
        best = next(iter(probabilities)) if probabilities else ""
        reply = Reply(
            received.message.client_id,
            best,
            self._now(),
            received.message.message_id,
            encoder_id=request.encoder.encoder_id,
            model_version=version,
            probabilities=probabilities,
            abstained=False if probabilities else None,
            error=error,
        )
        self._responder.answer(received.record, reply, paper_only=received.paper_only)

    def _refuse(self, record: Record, error: SchemaError, sender: Sender | None) -> None:
        """Tell a known client why; what nobody can be told about goes to the dead letters."""
        if sender is None or sender.client_id is None:
            self._responder.dead_letter(record, error)
            return
        reason = cut_text(str(error))
        reply = Reply(sender.client_id, "", self._now(), sender.message_id, error=reason)
        self._responder.answer(record, reply, paper_only=sender.paper_only)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
