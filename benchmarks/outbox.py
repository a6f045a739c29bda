"""How many messages per second the outbox takes, compared with the same work by hand.

Each message is put on the disk, delivered, acknowledged and removed by the outbox and its relay, as
``ioa client publish`` uses them. Instead of a broker and a server, a reply client delivers at once
and answers at the next poll. The ceiling is SQLite alone: one INSERT and one DELETE by number for
each message in the same transactions. Those that insert wait for the disk; those that delete do
not.

Both run in turn and a ratio compares one turn, so that a busy machine slows both.

Example: python -m benchmarks.outbox --quick
"""

import argparse
import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.relay import OutboxRelay
from schemas.messages.answers import Acknowledgement
from stream.exchange.exchanges import AnswerMessage
from stream.exchange.outgoing_record import OutgoingRecord
from stream.exchange.reply_client import Arrivals, ReplyClient
from stream.kafka.producer import make_headers
from stream.kafka.settings import KafkaSettings

CLIENT = "radiology-1"
OURS, HAND = "outbox", "SQLite by hand"
COLUMNS = {
    "rate": Column("messages/s", better="more"),
    "of_hand": Column("of the ceiling", "{:.2f} x", better="more"),
    "cpu_us": Column("CPU us per message", "{:.1f}", better="less"),
}
AIMS = (Aim(OURS, "rate", 5_000.0),)

Row = tuple[object, ...]
Send = Callable[[Path, list[OutgoingRecord], int], None]


class ShortReplyClient(ReplyClient):
    """Delivers records at the next poll and acknowledges them at the poll after that."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(), CLIENT)
        self._sent: list[str] = []
        self._delivered: list[str] = []

    def connect(self, timeout: float, *, since: float | None = None) -> None:
        """Connect to nothing."""

    def send(self, records: Iterable[OutgoingRecord]) -> None:
        self._sent += [record.message_id for record in records]

    def poll(self, timeout: float) -> Arrivals:
        now = datetime.now(UTC)
        answers: list[AnswerMessage] = [
            Acknowledgement(CLIENT, "hand", now, message_id) for message_id in self._delivered
        ]
        self._delivered, self._sent = self._sent, []
        return Arrivals(delivered=self._delivered, answers=answers)


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    for size in options.bodies:
        measured += compare(make_records(options.messages, size), size, options)
    report(options.out, "outbox", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument(
        "--bodies",
        nargs="+",
        type=int,
        default=[170, 3300],
        help="bytes; 784 float32 in Avro are 3300",
    )
    parser.add_argument("--batch", type=int, default=64, help="messages that are put at a time")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: temporary")
    options = parser.parse_args()
    if options.quick:
        options.messages, options.runs = 2000, 2
    return options


def compare(
    records: list[OutgoingRecord], size: int, options: argparse.Namespace
) -> list[Measurement]:
    """Let both take the same records in turn."""
    condition = {"body bytes": size, "batch": options.batch}
    ours, hand = (Measurement("outbox", condition, subject) for subject in (OURS, HAND))
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            path = Path(directory)
            own = measure(send_through_outbox, path, records, options.batch)
            ceiling = measure(send_by_hand, path, records, options.batch)
        ours.runs.append({**own, "of_hand": own["rate"] / ceiling["rate"]})
        hand.runs.append({**ceiling, "of_hand": 1.0})
    return [ours, hand]


def make_records(count: int, size: int) -> list[OutgoingRecord]:
    records = []
    for _ in range(count):
        message_id = str(uuid.uuid4())
        headers = make_headers(
            KIND="learning",
            CLIENT=CLIENT,
            MESSAGE_ID=message_id,
            CORRELATION_ID=message_id,
            CONTENT_TYPE="avro/binary",
        )
        records.append(
            OutgoingRecord(
                message_id,
                "learning",
                "ioa.learning",
                message_id.encode(),
                headers,
                os.urandom(size),
            )
        )
    return records


def split(records: list[OutgoingRecord], batch: int) -> Iterator[list[OutgoingRecord]]:
    for start in range(0, len(records), batch):
        yield records[start : start + batch]


def send_through_outbox(path: Path, records: list[OutgoingRecord], batch: int) -> None:
    """Do what ``publish`` does with each encoded batch, and drain the rest."""
    file = path / "outbox.db"
    with (
        Outbox(file, owner=CLIENT, limits=Limits(), clock=time.time) as outbox,
        ShortReplyClient() as reply_client,
    ):
        relay = OutboxRelay(outbox, reply_client, time.monotonic)
        relay.connect(1.0)
        for chunk in split(records, batch):
            relay.put(chunk, ["images/0001.png"] * len(chunk), timeout=1)
            relay.poll(0)
        relay.drain(timeout=1)
        if (acknowledged := len(records) - outbox.counts.waiting) < len(records):
            raise SystemExit(f"only {acknowledged} of {len(records)} messages were acknowledged")


def send_by_hand(path: Path, records: list[OutgoingRecord], batch: int) -> None:
    with closing(sqlite3.connect(path / "hand.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 4000")
        database.execute("CREATE TABLE letter (number INTEGER PRIMARY KEY, id TEXT, body BLOB)")
        before: list[tuple[int]] = []
        last = 0
        for chunk in split(records, batch):
            rows = [
                (last + n, record.message_id, record.value) for n, record in enumerate(chunk, 1)
            ]
            commit(database, "FULL", "INSERT INTO letter VALUES (?, ?, ?)", rows)
            commit(database, "NORMAL", "DELETE FROM letter WHERE number = ?", before)
            before, last = [(row[0],) for row in rows], last + len(rows)
        commit(database, "NORMAL", "DELETE FROM letter WHERE number = ?", before)


def commit(database: sqlite3.Connection, durability: str, change: str, rows: Sequence[Row]) -> None:
    database.execute(f"PRAGMA synchronous = {durability}")
    database.execute("BEGIN")
    database.executemany(change, rows)
    database.execute("COMMIT")


def measure(send: Send, path: Path, records: list[OutgoingRecord], batch: int) -> dict[str, float]:
    """Return messages per second, and CPU microseconds per message."""
    clock, processor = time.perf_counter(), time.process_time()
    send(path, records, batch)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - processor
    return {"rate": len(records) / seconds, "cpu_us": cpu / len(records) * 1e6}


if __name__ == "__main__":
    main()
