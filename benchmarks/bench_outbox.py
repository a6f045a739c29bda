"""How many learning messages a second the outbox takes, against the same work written by hand.

    python benchmarks/bench_outbox.py --messages 20000 --body 3300

Each message is put on the disk, delivered, acknowledged and removed, by the outbox and its courier
as ``ioa client publish`` uses them. Broker and server are left out: a relay delivers at once and
answers one round later. The ceiling is SQLite alone, one INSERT and one DELETE by number for each
message, in the same transactions: those that insert wait for the disk, those that delete do not.

Both run in turn, ``--rounds`` times; a ratio is the median of those within a round, so that a busy
machine slows both. Prints one line of JSON.
"""

import argparse
import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from client_autoencoder.outbox.courier import Courier
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Outbox
from schemas.messages import Acknowledgement, Answer
from stream.letter import Letter
from stream.producer import make_headers
from stream.relay import Arrivals, Relay
from stream.settings import KafkaSettings

CLIENT = "radiology-1"

Row = tuple[object, ...]
Speed = tuple[float, float]
Send = Callable[[Path, list[Letter], int], None]


class ShortRelay(Relay):
    """Delivers what it is given at the next look, and acknowledges it at the one after that."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(), CLIENT)
        self._sent: list[str] = []
        self._delivered: list[str] = []

    def connect(self, timeout: float, *, since: float | None = None) -> None:
        """Do without a broker."""

    def send(self, letters: Iterable[Letter]) -> None:
        self._sent += [letter.message_id for letter in letters]

    def look(self, timeout: float) -> Arrivals:
        now = datetime.now(UTC)
        answers: list[Answer] = [
            Acknowledgement(CLIENT, "hand", now, one) for one in self._delivered
        ]
        self._delivered, self._sent = self._sent, []
        return Arrivals(delivered=self._delivered, answers=answers)


def main() -> None:
    """Measure and print."""
    options = read_options()
    if options.quick:
        options.messages, options.rounds = 2000, 2
    letters = make_letters(options.messages, options.body)
    outbox: list[Speed] = []
    ceiling: list[Speed] = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            path = Path(directory)
            outbox.append(measure(send_through_outbox, path, letters, options.batch))
            ceiling.append(measure(send_by_hand, path, letters, options.batch))
    print(json.dumps(describe(options, outbox, ceiling)))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument(
        "--body", type=int, default=3300, help="bytes; 784 float32 in Avro are 3300"
    )
    parser.add_argument("--batch", type=int, default=64, help="messages that are put at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: temporary")
    parser.add_argument("--quick", action="store_true", help="2,000 messages, twice")
    return parser.parse_args()


def make_letters(count: int, size: int) -> list[Letter]:
    letters = []
    for _ in range(count):
        name = str(uuid.uuid4())
        headers = make_headers(
            KIND="learning",
            CLIENT=CLIENT,
            MESSAGE_ID=name,
            CORRELATION_ID=name,
            CONTENT_TYPE="avro/binary",
        )
        letters.append(Letter(name, "ioa.learning", name.encode(), headers, os.urandom(size)))
    return letters


def split(letters: list[Letter], batch: int) -> Iterator[list[Letter]]:
    for start in range(0, len(letters), batch):
        yield letters[start : start + batch]


def send_through_outbox(path: Path, letters: list[Letter], batch: int) -> None:
    """Do what ``publish`` does for each batch once it is encoded, and wait for the rest."""
    file = path / "outbox.db"
    with (
        Outbox(file, owner=CLIENT, limits=Limits(), clock=time.time) as outbox,
        ShortRelay() as relay,
    ):
        courier = Courier(outbox, relay, time.monotonic)
        courier.connect(1.0)
        for chunk in split(letters, batch):
            courier.put(chunk, ["images/0001.png"] * len(chunk), timeout=1)
            courier.work(0)
        courier.drain(timeout=1)
        if (acknowledged := len(letters) - outbox.counts.waiting) < len(letters):
            raise SystemExit(f"only {acknowledged} of {len(letters)} messages were acknowledged")


def send_by_hand(path: Path, letters: list[Letter], batch: int) -> None:
    with closing(sqlite3.connect(path / "hand.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 4000")
        database.execute("CREATE TABLE letter (number INTEGER PRIMARY KEY, id TEXT, body BLOB)")
        before: list[tuple[int]] = []
        last = 0
        for chunk in split(letters, batch):
            rows = [(last + n, one.message_id, one.value) for n, one in enumerate(chunk, 1)]
            commit(database, "FULL", "INSERT INTO letter VALUES (?, ?, ?)", rows)
            commit(database, "NORMAL", "DELETE FROM letter WHERE number = ?", before)
            before, last = [(row[0],) for row in rows], last + len(rows)
        commit(database, "NORMAL", "DELETE FROM letter WHERE number = ?", before)


def commit(database: sqlite3.Connection, durability: str, change: str, rows: Sequence[Row]) -> None:
    database.execute(f"PRAGMA synchronous = {durability}")
    database.execute("BEGIN")
    database.executemany(change, rows)
    database.execute("COMMIT")


def measure(send: Send, path: Path, letters: list[Letter], batch: int) -> Speed:
    """Return messages a second by the clock and by the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    send(path, letters, batch)
    return (
        len(letters) / (time.perf_counter() - clock),
        len(letters) / (time.process_time() - processor),
    )


def describe(
    options: argparse.Namespace, outbox: list[Speed], ceiling: list[Speed]
) -> dict[str, object]:
    ours, theirs = list(zip(*outbox, strict=True)), list(zip(*ceiling, strict=True))
    ratios = [
        round(statistics.median(map(float.__truediv__, a, b)), 2)
        for a, b in zip(ours, theirs, strict=True)
    ]
    return {
        "benchmark": "outbox",
        "messages_per_second": round(statistics.median(ours[0])),
        "ceiling_per_second": round(statistics.median(theirs[0])),
        "ratio": ratios[0],
        "messages_per_cpu_second": round(statistics.median(ours[1])),
        "ceiling_per_cpu_second": round(statistics.median(theirs[1])),
        "cpu_ratio": ratios[1],
        "messages": options.messages,
        "body_bytes": options.body,
        "batch": options.batch,
        "rounds": options.rounds,
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main()
