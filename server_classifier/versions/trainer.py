"""The way from stored latents to a stored classifier; ``schedule`` tells when it is taken.

Every encoder has a classifier of its own. It is trained from scratch as soon as enough latents are
new, or a while after the last training when any is new. Nothing waits for the training: ingestion
goes on storing, and inference goes on answering with the version before.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from threading import Event

import numpy as np
import onnx
import structlog
import torch
from sqlalchemy import Engine

from schemas.models.classifier_manifest import ClassifierManifest
from server_classifier.errors import ServerError
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import TrainingError, TrainingReport, fit
from server_classifier.operations.metrics import TrainingMetrics
from server_classifier.operations.monitor import Monitor
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import add_classifier
from server_classifier.store.database import reading, writing
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.latents.training_set import TrainingSet, read_training_set
from server_classifier.versions.schedule import Schedule
from stream.kafka.connection import backoff

POLL_SECONDS = 0.25
TELL_SECONDS = 60.0
"""How often a long training says how far it is."""


class TrainingStopped(ServerError):
    """The service was asked to stop in the middle of a training."""


class Trainer:
    """Trains the classifiers that are due, one encoder at a time.

    Args:
        clock: seconds that never go back, for the interval.
        now: the time of day, for the stored versions.
        stop: ends ``run``, also in the middle of a training.
        monitor: receives progress and metrics.
    """

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
        self._schedule = Schedule(settings, clock)
        self._told_at = clock()
        self._waiting: set[str] = set()  # encoders with one label so far, which was logged
        self._log = structlog.get_logger()

    def run(self) -> None:
        """Train until told to stop; while the database is away, wait and try again."""
        self._health.begin()
        delays = backoff()
        while not self._stop.is_set():
            try:
                trained = self.step()
                self._health.mark_recovered()
                delays = backoff()
            except StoreUnavailable as error:
                delay = next(delays)
                self._log.error("waiting for the database", error=str(error), seconds=delay)
                self._health.wait_for(error.dependency, str(error))
                self._stop.wait(delay)
                continue
            except TrainingStopped:
                return
            if not trained:
                self._stop.wait(POLL_SECONDS)

    def step(self) -> bool:
        """Look once for new latents; train for one encoder if it is due, and tell whether it was.

        Raises:
            StoreUnavailable: the database does not answer; the next call makes up for it.
            TrainingStopped: the stop event was set during a training.
        """
        with reading(self._engine) as connection:
            self._schedule.count(connection)
            self._show_rows()
            encoder_id = self._schedule.choose()
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
        backlog = self._schedule.backlogs[encoder_id]
        if len(training_set.labels) < 2:
            self._wait_for_labels(encoder_id, training_set)
        elif manifest := self._try_training(encoder_id, training_set):
            backlog.trained_rows = manifest.rows
        backlog.trained_at, backlog.new_rows = began, 0
        return True

    def _show_rows(self) -> None:
        backlogs = self._schedule.backlogs.values()
        self._metrics.show_rows(
            trained=sum(backlog.trained_rows for backlog in backlogs),
            new=sum(backlog.new_rows for backlog in backlogs),
        )

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

    def _try_training(
        self, encoder_id: str, training_set: TrainingSet
    ) -> ClassifierManifest | None:
        """Train; what cannot be learned from is logged and tried again with the next latents."""
        try:
            return self._train(encoder_id, training_set)
        except TrainingError as error:
            self._log.error("training failed", encoder=encoder_id[:12], error=str(error))
            self._metrics.outcomes.count(failed=1)
            return None

    def _train(self, encoder_id: str, training_set: TrainingSet) -> ClassifierManifest:
        settings = self._settings
        self._told_at = self._clock()
        model, report = fit(
            training_set.values,
            training_set.targets,
            seed=settings.seed,
            settings=settings.training,
            on_epoch=partial(self._note_epoch, training_set),
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
        self._metrics.count_training(manifest.seconds, len(manifest.labels))
        self._log_training(version, manifest, skipped=training_set.skipped)
        return manifest

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

    def _note_epoch(self, training_set: TrainingSet, done: int, epochs: int) -> None:
        self._health.heartbeat()
        if self._stop.is_set():
            raise TrainingStopped("asked to stop; this training is dropped")
        if self._clock() - self._told_at >= TELL_SECONDS:
            self._told_at = self._clock()
            self._log.info(
                "still training",
                epoch=done,
                epochs=epochs,
                rows=len(training_set.values),
                labels=len(training_set.labels),
            )


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
