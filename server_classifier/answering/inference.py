"""Service messages to replies: the questions of a batch are answered with one matrix product."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from heapq import nlargest
from threading import Event

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from schemas.messages.answers import Reply
from schemas.messages.validation import cut_text
from server_classifier.answering.classifiers import ClassifierCache
from server_classifier.answering.prediction import Classifier
from server_classifier.intake.admission import Admission, Admitted
from server_classifier.intake.screening import (
    Refused,
    Screened,
    find_senders,
    log_refusals,
    screen_records,
)
from server_classifier.operations.metrics import count_service
from server_classifier.operations.service import open_service_context
from server_classifier.settings import ServerSettings
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.replays import refuse_replay_of
from stream.errors import DeliveryFailed, DependencyDown
from stream.exchange.exchanges import SERVICE
from stream.exchange.responder import Responder
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from stream.repeated_log import RepeatedLog

NO_MODEL = (
    "no model yet: the server has not trained on latents of this encoder; "
    "send learning messages or ask again later"
)
OUT_OF_REACH = "the model finds no finite answer: this latent is far from all it has learned"
_BATCH_SIZE = 256
_LINGER_MS = 5  # never waited for: a batch is flushed as soon as all its answers are queued
_MOST_PROBABILITIES = 100  # so that no number of labels makes a reply too large to send


def run_infer(kafka: KafkaSettings, settings: ServerSettings, stop: Event) -> None:
    """Answer service messages until ``stop`` is set, with or without a trainer beside it."""
    context = open_service_context(kafka, settings, stop)
    if context is None:
        return
    classifiers = ClassifierCache(context.engine, time.monotonic)
    inference = Inference(
        Admission(context.engine, None, time.monotonic),
        classifiers,
        context.make_responder(linger_ms=_LINGER_MS),
        cluster_id=context.cluster_id,
        clock=time.time,
        registry=context.monitor.registry,
    )
    topic = context.topics.of(SERVICE)
    consumer = context.make_consumer(topic, group="infer", batch_size=_BATCH_SIZE)

    def rest() -> None:
        classifiers.refresh()
        inference.refusals.report()

    with closing(context):
        refuse_replay_of(context.engine, context.cluster_id)
        structlog.get_logger().info("ready")
        consumer.run(context.measure(inference.handle), stop, each_turn=rest)
        inference.refusals.report(all_now=True)


class Inference:
    """Handles batches of records from the service topic.

    Args:
        clock: seconds since the Unix epoch.
        registry: takes the metrics.
    """

    def __init__(
        self,
        admission: Admission,
        classifiers: ClassifierCache,
        responder: Responder,
        *,
        cluster_id: str,
        clock: Callable[[], float],
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._admission = admission
        self._classifiers = classifiers
        self._responder = responder
        self._cluster_id = cluster_id
        self._clock = clock
        self._outcomes = count_service(registry)
        self.refusals = RepeatedLog("refused")
        self._log = structlog.get_logger()

    def handle(self, records: Sequence[Record]) -> None:
        """Answer every record: with a label, or with the reason why there is none.

        Only expired questions are not answered: nobody waits for an answer any more.

        Raises:
            DependencyDown: the broker is away, or the database with something that is needed.
        """
        try:
            batch = screen_records(
                records,
                self._admission,
                exchange=SERVICE,
                cluster_id=self._cluster_id,
                clock=self._clock,
            )
            find_senders(batch, self._admission, exchange=SERVICE, cluster_id=self._cluster_id)
            by_encoder: dict[str, list[Admitted]] = {}
            for request in batch.admitted:
                by_encoder.setdefault(request.encoder.encoder_id, []).append(request)
            # All that may fail for a while comes before the first answer is queued.
            found = [self._classifiers.find(encoder_id) for encoder_id in by_encoder]
            answered = sum(map(self._answer, by_encoder.values(), found))
            for refused in batch.refused:
                self._refuse(refused)
            self._responder.flush()
        except (StoreUnavailable, DeliveryFailed) as error:
            raise DependencyDown(str(error), error.dependency) from error
        self._report(batch, answered)

    def _report(self, batch: Screened, answered: int) -> None:
        self._outcomes.count(
            answered=answered,
            unanswerable=len(batch.admitted) - answered,
            refused=len(batch.refused),
            expired=len(batch.late),
        )
        log_refusals(batch.refused, self.refusals)
        if batch.late:
            self._log.warning(
                "requests expired",
                requests=len(batch.late),
                least_seconds_late=round(min(batch.late), 1),
                most_seconds_late=round(max(batch.late), 1),
                hint="by the server's clock; are those of the clients right?",
            )

    def _answer(self, requests: list[Admitted], classifier: Classifier | None) -> int:
        """Reply to all; return how many got a label."""
        if classifier is None:
            for request in requests:
                self._reply(request, error=NO_MODEL)
            return 0
        answered = 0
        probabilities = classifier.predict(np.stack([request.to_floats() for request in requests]))
        unusable = set(np.flatnonzero(~np.isfinite(probabilities).all(axis=1)))
        for number, (request, row) in enumerate(zip(requests, probabilities.tolist(), strict=True)):
            if number in unusable:
                self._reply(request, error=OUT_OF_REACH)
                continue
            pairs = [*zip(row, classifier.labels, strict=True)]
            ranked = nlargest(_MOST_PROBABILITIES, pairs)
            likeliest = {label: value for value, label in ranked}
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

    def _refuse(self, refused: Refused) -> None:
        """Tell a known client why; where no client can be told, the record is dead-lettered."""
        record, sender = refused.record, refused.sender
        if sender is None:
            self._responder.dead_letter(record, refused.error)
            return
        reason = cut_text(str(refused.error))
        reply = Reply(sender.client_id or "", "", self._now(), sender.message_id, error=reason)
        self._responder.answer(record, reply, paper_only=sender.paper_only)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
