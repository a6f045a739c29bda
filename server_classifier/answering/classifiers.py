"""The newest classifier of each encoder, kept in memory."""

from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from server_classifier.answering.prediction import Classifier
from server_classifier.store.classifiers import latest_classifier, latest_versions
from server_classifier.store.database import reading
from server_classifier.store.errors import StoreUnavailable

_REFRESH_SECONDS = 0.5


class ClassifierCache:
    """Looks for newer classifiers in the database twice a second.

    While the database is away, the loaded classifiers go on answering.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._loaded: dict[str, Classifier] = {}
        self._refreshed_at = float("-inf")
        self._log = structlog.get_logger()

    def find(self, encoder_id: str) -> Classifier | None:
        """Return the newest classifier for an encoder, or None before the first.

        Raises:
            StoreUnavailable: none is in memory, and the database does not answer.
        """
        self.refresh()
        if encoder_id not in self._loaded:
            # The first classifier may be younger than the last refresh.
            self._load_newest()
        return self._loaded.get(encoder_id)

    def refresh(self) -> None:
        """Load newer classifiers if the last refresh is old enough; a failure is only logged."""
        if self._clock() - self._refreshed_at < _REFRESH_SECONDS:
            return
        self._refreshed_at = self._clock()
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
