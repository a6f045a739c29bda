"""When to train: how many latents of each encoder are new, and which encoder is due."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from schemas.models.classifier_manifest import ClassifierManifest
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import latest_classifier
from server_classifier.store.latents.rows import count_new_latents
from server_classifier.store.registry.entries import list_encoders


@dataclass(slots=True)
class Backlog:
    """What is new of one encoder since its last training.

    Attributes:
        trained_at: when that training began.
        new_rows: latents stored since then.
        trained_rows: latents that the newest classifier learned.
    """

    trained_at: float
    new_rows: int = 0
    trained_rows: int = 0

    def is_due(self, now: float, settings: ServerSettings) -> bool:
        """Tell whether it is time to train; both times in seconds of one clock."""
        if self.new_rows >= settings.train_min_new_rows:
            return True
        waited = now - self.trained_at
        return self.new_rows > 0 and waited >= settings.train_interval_seconds


class Schedule:
    """Counts the new latents of each encoder and chooses the encoder to train for.

    Args:
        clock: seconds that never go back.

    Attributes:
        backlogs: by encoder id.
    """

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        self.backlogs: dict[str, Backlog] = {}
        self._settings = settings
        self._clock = clock
        self._counted_to: int | None = None  # the last latent id in ``backlogs``; None: not begun

    def count(self, connection: Connection) -> None:
        """Count the latents that came since the last call, at first since the last training."""
        if self._counted_to is None:
            self._counted_to = self._resume(connection)
            return
        new = count_new_latents(connection, self._counted_to)
        for encoder_id, count in new.by_encoder.items():
            self.backlogs.setdefault(encoder_id, Backlog(self._clock())).new_rows += count
        self._counted_to = new.last_id

    def choose(self) -> str | None:
        """Return the encoder that is due and has waited longest, or None."""
        now = self._clock()
        due = {
            encoder_id: backlog.trained_at
            for encoder_id, backlog in self.backlogs.items()
            if backlog.is_due(now, self._settings)
        }
        return min(due, key=due.__getitem__, default=None)

    def _resume(self, connection: Connection) -> int:
        """Begin where the stored classifiers left off; return the last latent id counted."""
        last_id = 0
        for encoder in list_encoders(connection):
            backlog = Backlog(self._clock())
            trained_to = 0
            if stored := latest_classifier(connection, encoder.encoder_id):
                manifest = ClassifierManifest.from_json(stored.manifest)
                trained_to, backlog.trained_rows = manifest.last_latent_id, manifest.rows
            new = count_new_latents(connection, trained_to, encoder.encoder_id)
            backlog.new_rows = new.by_encoder.get(encoder.encoder_id, 0)
            self.backlogs[encoder.encoder_id] = backlog
            last_id = max(last_id, new.last_id)
        return last_id
