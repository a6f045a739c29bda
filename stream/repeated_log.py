"""What happens often is logged once, with a count."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import structlog

_SECONDS = 10.0


@dataclass(slots=True)
class _Repeated:
    """How often something happened since it was logged, and where it did last."""

    count: int = 0
    latest: str = ""
    logged_at: float = float("-inf")


class RepeatedLog:
    """Logs an event at the next ``report``, and its repetitions once in ten seconds.

    Args:
        event: the words of the line.
        clock: seconds that never go back.
    """

    def __init__(self, event: str, clock: Callable[[], float] = monotonic) -> None:
        self._event = event
        self._clock = clock
        self._happened: dict[tuple[tuple[str, str | None], ...], _Repeated] = {}
        self._log = structlog.get_logger()

    def note(self, latest: str, **what: str | None) -> None:
        """Count one event; ``what`` tells it from others and takes few values."""
        key = tuple(what.items())
        repeated = self._happened.get(key)
        if repeated is None:
            repeated = self._happened[key] = _Repeated()
        repeated.count += 1
        repeated.latest = latest

    def report(self, *, all_now: bool = False) -> None:
        """Log what is due, with its number since it was logged before; call it often.

        Args:
            all_now: log also what is not due yet, since nothing comes after it.
        """
        now = self._clock()
        for key, repeated in [*self._happened.items()]:
            if now - repeated.logged_at < _SECONDS and not all_now:
                continue
            if not repeated.count:
                del self._happened[key]
                continue
            self._log.warning(
                self._event, **dict(key), count=repeated.count, latest=repeated.latest
            )
            self._happened[key] = _Repeated(logged_at=now)
