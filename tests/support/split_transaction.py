"""An ingester with a deliberate fault: positions are committed in a transaction before the rows.

Run as ``python -m tests.support.split_transaction server ingest``. The crash tests must notice the
messages that it loses.
"""

import time

from ioa.cli.main import main
from server_classifier.intake.ingest import Ingester, _Batch
from server_classifier.intake.screening import to_row
from server_classifier.store.database import writing
from server_classifier.store.latents.rows import insert_latents

MOVED = "positions moved, rows to follow"


def store_apart(self: Ingester, batch: _Batch) -> None:
    """Move the positions, print ``MOVED``, and store the rows a second later."""
    with writing(self._engine) as connection:
        moved = self._positions.move(connection, batch.records)
    self._positions.keep(moved)
    print(MOVED, flush=True)
    time.sleep(1)
    with writing(self._engine) as connection:
        rows = [to_row(admitted) for admitted in batch.screened.admitted]
        batch.stored = len(rows) - len(insert_latents(connection, rows))


if __name__ == "__main__":
    Ingester._store = store_apart  # type: ignore[method-assign]  # noqa: SLF001
    main()
