"""When to train, and the way from stored latents to a stored classifier.

Every encoder has a classifier of its own. It is trained from scratch as soon as enough latents are
new, or a while after the last training when any is. Nothing waits for it: ingestion goes on storing
and inference goes on answering with the version before.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Event

import numpy as np
import onnx
import structlog
import torch
from sqlalchemy import Connection, Engine

from schemas.models.classifier_manifest import ClassifierManifest
from server_classifier.errors import ServerError
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import TrainingError, TrainingReport, fit
from server_classifier.operations.metrics import TrainingMetrics
from server_classifier.operations.monitor import Monitor
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import add_classifier, latest_classifier
from server_classifier.store.database import reading, writing
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.latents.rows import count_new_latents
from server_classifier.store.latents.training_set import TrainingSet, read_training_set
from server_classifier.store.registry.entries import list_encoders
from stream.kafka.connection import backoff

POLL_SECONDS = 0.25


class TrainingStopped(ServerError):
    """The service was told to stop in the middle of a training."""


@dataclass(slots=True)
class Backlog:
    """What is new of one encoder since its last training, which began at ``trained_at``."""

    trained_at: float
    new_rows: int = 0

    def is_due(self, now: float, settings: ServerSettings) -> bool:
        """Tell whether it is time to train; both times in seconds of one clock."""
        if self.new_rows >= settings.train_min_new_rows:
            return True
        waited = now - self.trained_at
        return self.new_rows > 0 and waited >= settings.train_interval_seconds


def run_trainer(
    engine: Engine,
    settings: ServerSettings,
    *,
    clock: Callable[[], float],
    now: Callable[[], datetime],
    stop: Event,
    monitor: Monitor,
) -> None:
    """Train until ``stop`` is set; while the database is away, wait and try again.

    Args:
        clock: seconds that never go back, for the interval.
        now: the time of day, for the records.
        monitor: told what is done.
    """
    log = structlog.get_logger()
    trainer = Trainer(engine, settings, clock=clock, now=now, stop=stop, monitor=monitor)
    monitor.health.begin()
    delays = backoff()
    while not stop.is_set():
        try:
            trained = trainer.step()
            monitor.health.mark_recovered()
            delays = backoff()
        except StoreUnavailable as error:
            delay = next(delays)
            log.error("waiting for the database", error=str(error), seconds=delay)
            monitor.health.wait_for(error.dependency, str(error))
            stop.wait(delay)
            continue
        except TrainingStopped:
            return
        if not trained:
            stop.wait(POLL_SECONDS)


class Trainer:
    """Counts new latents and trains what is due, one encoder at a time."""

    def __init__(
        self,
        engine: Engine,
        settings: ServerSettings,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        stop: Event,
        monitor: Monitor,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._now = now
        self._stop = stop
        self._health = monitor.health
        self._metrics = TrainingMetrics(monitor.registry)
        self._counted_to: int | None = None  # the last latent id in ``_backlogs``; None: not begun
        self._backlogs: dict[str, Backlog] = {}
        self._trained_rows: dict[str, int] = {}  # of the newest classifier of each encoder
        self._waiting: set[str] = set()  # encoders with one label so far, which was said
        self._log = structlog.get_logger()

    def step(self) -> bool:
        """Look once for new latents; train one encoder if it is due, and tell whether it was.

        Raises:
            StoreUnavailable: the database does not answer; the next call makes up for it.
            TrainingStopped: the stop event was set during a training.
        """
        with reading(self._engine) as connection:
            self._count(connection)
            self._show_rows()
            encoder_id = self._choose()
            if encoder_id is None:
                return False
            # In the snapshot of the count: a latent is either trained on now or counted later.
            training_set = read_training_set(
                connection,
                encoder_id,
                max_rows=self._settings.max_rows,
                rng=np.random.default_rng(self._settings.seed),
            )
        began = self._clock()
        if len(training_set.labels) < 2:
            self._wait_for_labels(encoder_id, training_set)
        else:
            self._try_training(encoder_id, training_set)
        self._backlogs[encoder_id] = Backlog(began)
        return True

    def _count(self, connection: Connection) -> None:
        if self._counted_to is None:
            self._counted_to = self._resume(connection)
            return
        new = count_new_latents(connection, self._counted_to)
        for encoder_id, count in new.by_encoder.items():
            backlog = self._backlogs.setdefault(encoder_id, Backlog(self._clock()))
            backlog.new_rows += count
        self._counted_to = new.last_id

    def _resume(self, connection: Connection) -> int:
        """Begin where the stored classifiers left off; return the last latent id counted."""
        last_id = 0
        for encoder in list_encoders(connection):
            stored = latest_classifier(connection, encoder.encoder_id)
            trained_to = 0
            if stored:
                manifest = ClassifierManifest.from_json(stored.manifest)
                trained_to = manifest.last_latent_id
                self._trained_rows[encoder.encoder_id] = manifest.rows
            new = count_new_latents(connection, trained_to, encoder.encoder_id)
            count = new.by_encoder.get(encoder.encoder_id, 0)
            self._backlogs[encoder.encoder_id] = Backlog(self._clock(), count)
            last_id = max(last_id, new.last_id)
        return last_id

    def _show_rows(self) -> None:
        self._metrics.show_rows(
            trained=sum(self._trained_rows.values()),
            new=sum(one.new_rows for one in self._backlogs.values()),
        )

    def _choose(self) -> str | None:
        """Return the encoder that is due and has waited longest."""
        time = self._clock()
        due = [one for one, log in self._backlogs.items() if log.is_due(time, self._settings)]
        return min(due, key=lambda one: self._backlogs[one].trained_at, default=None)

    def _wait_for_labels(self, encoder_id: str, training_set: TrainingSet) -> None:
        if encoder_id in self._waiting:
            return
        self._waiting.add(encoder_id)
        self._log.info(
            "waiting for a second label",
            encoder=encoder_id[:12],
            labels=training_set.labels,
            rows=training_set.available,
            skipped=training_set.skipped,
        )

    def _try_training(self, encoder_id: str, training_set: TrainingSet) -> None:
        """Train; latents that cannot be learned from are reported and tried again with the next."""
        try:
            self._train(encoder_id, training_set)
        except TrainingError as error:
            self._log.error("training failed", encoder=encoder_id[:12], error=str(error))
            self._metrics.outcomes.count(failed=1)

    def _train(self, encoder_id: str, training_set: TrainingSet) -> None:
        settings = self._settings
        model, report = fit(
            training_set.values,
            training_set.targets,
            seed=settings.seed,
            settings=settings.training,
            on_epoch=self._note_epoch,
        )
        file = export_onnx(model)
        manifest = describe_training(
            encoder_id, training_set, report, settings.training, settings.seed, file
        )
        with writing(self._engine) as connection:
            version = add_classifier(
                connection,
                encoder_id=encoder_id,
                onnx=file,
                manifest=manifest.to_json(),
                now=self._now(),
            )
        self._waiting.discard(encoder_id)
        self._trained_rows[encoder_id] = manifest.rows
        self._metrics.count_training(manifest.seconds)
        self._log_training(version, manifest, skipped=training_set.skipped)

    def _log_training(self, version: str, manifest: ClassifierManifest, *, skipped: int) -> None:
        self._log.info(
            "classifier trained",
            version=version,
            encoder=manifest.encoder_id[:12],
            rows=manifest.rows,
            available=manifest.available,
            skipped=skipped,
            labels=len(manifest.labels),
            loss=round(manifest.loss, 4),
            seconds=round(manifest.seconds, 2),
        )

    def _note_epoch(self, _done: int, _epochs: int) -> None:
        self._health.heartbeat()
        if self._stop.is_set():
            raise TrainingStopped("told to stop; the training begun is dropped")


def describe_training(
    encoder_id: str,
    training_set: TrainingSet,
    report: TrainingReport,
    settings: TrainingSettings,
    seed: int,
    file: bytes,
) -> ClassifierManifest:
    """Return the manifest of the classifier in ``file``."""
    return ClassifierManifest(
        encoder_id=encoder_id,
        labels=training_set.labels,
        latent_dim=training_set.values.shape[1],
        rows=report.rows,
        available=training_set.available,
        last_latent_id=training_set.last_id,
        seed=seed,
        settings=settings.model_dump(mode="json"),
        versions={"onnx": onnx.__version__, "torch": str(torch.__version__)},
        epochs=report.epochs,
        loss=report.loss,
        seconds=report.seconds,
        sha256=hashlib.sha256(file).hexdigest(),
    )
