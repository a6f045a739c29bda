"""A window of a topic into a database of its own; each record is screened as in ingestion.

For each batch, the rows, the positions behind them and the report are committed in one transaction.
So whatever ends a replay, the same command goes on where it was. What is stored follows from the
records of the window and the registry alone, not from the order in which partitions are read: two
replays of a window have the same digest.
"""

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Engine

from server_classifier.intake.admission import Admission
from server_classifier.intake.positions import HeldPositions
from server_classifier.intake.replay_report import ReplayReport, ReplayRequest
from server_classifier.intake.screening import screen_records, to_row
from server_classifier.store.database import describe, ensure_current, lift_limits, reading, writing
from server_classifier.store.errors import ReplayRefused, StoreUnavailable
from server_classifier.store.latents.rows import insert_latents, prefer_earliest
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.copy import RegistryCopy, add_registry
from server_classifier.store.replays import (
    ReplayRow,
    begin_replay,
    compute_latents_digest,
    find_replay,
    finish_replay,
    inspect_target,
    refuse_used,
    update_report,
)
from stream.errors import DependencyDown
from stream.exchange.exchanges import find_exchange
from stream.kafka.offsets import OffsetRange
from stream.kafka.record import Record
from stream.replay.source import RecordSource

Read = Callable[[Sequence[OffsetRange]], Iterable[Sequence[Record]]]
OnProgress = Callable[[ReplayReport], None]


class Replay:
    """One replay into one database, from where it was left off to its end.

    Args:
        target: the database to fill.
        registry: encoders, clients and labels that were taken; a replay that goes on keeps those
            with which it began.
        now: the time of day.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        target: Engine,
        request: ReplayRequest,
        registry: RegistryCopy,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._target = target
        self._request = request
        self._registry = registry
        self._now = now
        self._admission = Admission(target, request.labels, clock, request.max_labels)
        owner = f"replay ({socket.gethostname()}, process {os.getpid()})"
        self._positions = HeldPositions(target, owner=owner, now=now)
        self._report = ReplayReport(())

    def run(
        self,
        source: RecordSource,
        read: Read | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> ReplayRow:
        """Read what is left of the window and return the finished replay.

        A replay that was finished already is returned as it was, if its rows are unchanged.

        Args:
            read: a slower ``source.read``; without it, records are read as fast as possible.

        Raises:
            ReplayRefused: the database is in use, or that of another replay.
            StreamError: the window cannot be read to its end.
            StoreError: the database cannot be written. In both cases what was stored stays.
        """
        try:
            found = inspect_target(self._target) or self._make(source.ranges)
            self._request.refuse_other(found.request, describe(self._target))
            if found.finished_at is not None:
                self._refuse_changed(found)
                return found
            rest = self._take_over(ReplayReport.from_json(found.report).ranges)
            on_progress(self._report)
            for records in (read or source.read)(rest):
                self._store(records)
                on_progress(self._report)
            return self._finish()
        except (StoreUnavailable, DependencyDown) as error:
            raise StoreUnavailable(
                f"{error}. What was stored until now stays; run the same command again to go on"
            ) from error

    def _make(self, ranges: Sequence[OffsetRange]) -> ReplayRow:
        """Make the tables, then in one transaction the registry and the row of the replay."""
        ensure_current(self._target)
        report = ReplayReport(tuple(ranges)).to_json()
        begun = ReplayRow(self._request.to_json(), report, None, self._now(), None)
        with writing(self._target) as connection:
            refuse_used(connection, describe(self._target))
            add_registry(connection, self._registry)
            begin_replay(connection, begun)
        return begun

    def _take_over(self, ranges: Sequence[OffsetRange]) -> list[OffsetRange]:
        """Take the positions and return what is left to be read."""
        starts = self._positions.take(ranges)
        # Not before: until it was taken, another process may have gone on with it.
        with reading(self._target) as connection:
            found = find_replay(connection)
        assert found is not None  # noqa: S101 - nothing deletes the row
        self._report = ReplayReport.from_json(found.report)
        return [left._replace(low=starts[left.partition]) for left in ranges]

    def _store(self, records: Sequence[Record]) -> None:
        request = self._request
        batch = screen_records(
            records,
            self._admission,
            exchange=find_exchange(request.mode),
            cluster_id=request.cluster_id,
        )
        rows = [to_row(admitted) for admitted in batch.admitted]
        if request.selection != Selection():
            rows = [row for row in rows if request.selection.fits(row)]
        with writing(self._target) as connection:
            moved = self._positions.move(connection, records)
            known = insert_latents(connection, rows)
            prefer_earliest(connection, known)
            stored = len(rows) - len(known)
            report = self._report.add(batch, selected=len(rows), stored=stored)
            update_report(connection, report.to_json())
        self._positions.keep(moved)
        self._report = report

    def _refuse_changed(self, finished: ReplayRow) -> None:
        if (digest := self._compute_digest()) != finished.digest:
            raise ReplayRefused(
                f"{describe(self._target)} was changed since this replay has filled it (digest now "
                f"{digest[:12]}, then {(finished.digest or '')[:12]}); name a new database"
            )

    def _compute_digest(self) -> str:
        with reading(self._target) as connection:
            lift_limits(connection)
            return compute_latents_digest(connection)

    def _finish(self) -> ReplayRow:
        digest = self._compute_digest()
        with writing(self._target) as connection:
            finish_replay(connection, digest, now=self._now())
            finished = find_replay(connection)
        assert finished is not None  # noqa: S101 - nothing deletes the row
        return finished
