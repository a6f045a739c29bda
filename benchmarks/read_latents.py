"""How long it takes to read up to a million latents from the database or a snapshot into arrays.

A latent is 16 float32, 64 bytes. Our subjects return all that an experiment needs: values, labels,
sites, groups and times, in the order of the dataset. The ceilings return the values alone, in the
order of the table: from SQLite with ``fetchmany`` and one join of bytes, from PostgreSQL in binary
pieces of 50,000 that the server joins, and from a file with ``numpy.load``, unchecked.

All run in turn and a ratio compares one turn, so that a busy machine slows all.

Example: python -m benchmarks.read_latents --quick
"""

import argparse
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.datasets.catalogue import create_dataset, get_dataset
from server_classifier.store.datasets.latents import read_dataset, read_latents
from server_classifier.store.datasets.snapshots import read_snapshot, write_snapshot
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.selection import Selection
from server_classifier.store.latents.training_set import read_training_set
from server_classifier.store.registry.entries import add_encoder
from tests.support.manifests import make_manifest
from tests.support.postgres import DATABASES, run_postgres

LATENT_DIM = 16
MANIFEST = make_manifest(LATENT_DIM)
FIRST_MS = 1_760_000_000_000
BATCH = 5_000
COLUMNS = {
    "seconds": Column("seconds", "{:.3f}", better="less"),
    "us": Column("us per latent", "{:.2f}", better="less"),
    "of_hand": Column("of the ceiling's time", "{:.1f} x", better="less"),
}

DATASET, SNAPSHOT = "read_dataset, each revision checked", "read_snapshot"
MILLION = 1_000_000
AIMS = (
    Aim(DATASET, "seconds", 0.5, {"source": "sqlite", "latents": MILLION}),
    Aim(DATASET, "seconds", 0.8, {"source": "postgresql", "latents": MILLION}),
    Aim(SNAPSHOT, "seconds", 0.1, {"latents": MILLION}),
)

Run = Callable[[], object]


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    for count in options.latents:
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            measured += measure_all(Path(folder), count, options.runs)
    report(options.out, "read_latents", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--latents", nargs="+", type=int, default=[10_000, 100_000, MILLION])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: temporary")
    options = parser.parse_args()
    if options.quick:
        options.latents, options.runs = [10_000], 1
    return options


def measure_all(folder: Path, count: int, runs: int) -> list[Measurement]:
    """Read ``count`` latents from each database and from files."""
    measured: list[Measurement] = []
    for kind in DATABASES:
        with open_filled(kind, folder, count) as engine:
            measured += compare(kind, engine, count, runs)
            assert take_snapshot(engine, folder / kind) == count
    subjects: dict[str, Run] = {
        SNAPSHOT: lambda: read_snapshot(folder / kind),
        "numpy.load": lambda: np.load(folder / f"{kind}.npy"),
    }
    return [*measured, *take_turns("file", subjects, count, runs)]


@contextmanager
def open_filled(kind: str, folder: Path, count: int) -> Iterator[Engine]:
    """Yield a new database with ``count`` latents and a dataset ``all`` of them."""
    with run_postgres() as postgres:
        file = folder / "ioa.db"
        engine = open_database(
            f"sqlite:///{file}" if kind == "sqlite" else postgres.create_database()
        )
        ensure_current(engine)
        fill(engine, count)
        create_dataset(engine, "all", Selection(), now=datetime.now(UTC))
        if kind == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")  # as autovacuum does in the end
        yield engine
        engine.dispose()


def fill(engine: Engine, count: int) -> None:
    rng = np.random.default_rng(0)
    with writing(engine) as connection:
        add_encoder(connection, MANIFEST, now=datetime.now(UTC))
    for start in range(0, count, BATCH):
        with writing(engine) as connection:
            insert_latents(connection, make_rows(rng, start, min(BATCH, count - start)))


def make_rows(rng: np.random.Generator, start: int, count: int) -> list[LatentRow]:
    """Return latents of five sites and ten labels, one per millisecond."""
    values = rng.normal(size=(count, LATENT_DIM)).astype(np.float32)
    encoder_id = MANIFEST.network_id
    rows = []
    for number, value in enumerate(values, start):
        site, moment = f"site-{number % 5}", FIRST_MS + number
        fields: list[Any] = [
            *(make_uuid7(moment, rng), site, f"{site}-1", encoder_id, str(number % 10)),
            *("float32", value.tobytes(), None, None, "record", 1, None, None),
            *(moment, moment, "ioa.learning", 0, number),
        ]
        rows.append(LatentRow(*fields))
    return rows


def make_uuid7(moment: int, rng: np.random.Generator) -> str:
    noise = int.from_bytes(rng.bytes(10))
    return str(UUID(int=(moment << 80 | noise) & ~(0xF << 76) | 0x7 << 76))


def compare(kind: str, engine: Engine, count: int, runs: int) -> list[Measurement]:
    names = (f"copy-{number}" for number in range(runs))

    def create() -> None:
        create_dataset(engine, next(names), Selection(), now=datetime.now(UTC))

    def within(work: Callable[[Connection], object]) -> Run:
        def run() -> object:
            with reading(engine) as connection:
                return work(connection)

        return run

    rng = np.random.default_rng(0)
    by_hand = read_sqlite_by_hand if kind == "sqlite" else read_postgresql_by_hand
    subjects: dict[str, Run] = {
        "create_dataset": create,
        DATASET: within(lambda connection: read_dataset(connection, "all")),
        "read_latents, unchecked": within(
            lambda connection: read_latents(
                connection, get_dataset(connection, "all"), MANIFEST, count
            )
        ),
        "read_training_set": within(
            lambda connection: read_training_set(
                connection, MANIFEST.network_id, max_rows=count, rng=rng
            )
        ),
        "values by hand": within(by_hand),
    }
    return take_turns(kind, subjects, count, runs)


def take_turns(source: str, subjects: dict[str, Run], latents: int, runs: int) -> list[Measurement]:
    """Run all subjects in each turn; the last subject is the ceiling."""
    measured = [
        Measurement("read_latents", {"source": source, "latents": latents}, name)
        for name in subjects
    ]
    for _ in range(runs):
        seconds = [measure(subject) for subject in subjects.values()]
        for row, taken in zip(measured, seconds, strict=True):
            ratio = taken / seconds[-1]
            row.runs.append({"seconds": taken, "us": taken / latents * 1e6, "of_hand": ratio})
    return measured


def measure(subject: Run) -> float:
    start = time.perf_counter()
    subject()
    return time.perf_counter() - start


def take_snapshot(engine: Engine, snapshot: Path) -> int:
    """Write the dataset as a snapshot, and its values as numpy does; return how many there are."""
    with reading(engine) as connection:
        latents = read_dataset(connection, "all")
    assert Counter(latents.labels).keys() == {str(label) for label in range(10)}
    write_snapshot(latents, snapshot)
    np.save(snapshot.with_suffix(".npy"), latents.values)
    return len(latents.values)


def read_sqlite_by_hand(connection: Connection) -> NDArray[np.float32]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    cursor = driver.execute("SELECT value FROM latent ORDER BY id")
    pieces = []
    while rows := cursor.fetchmany(20_000):
        pieces.append(b"".join([row[0] for row in rows]))
    return np.frombuffer(b"".join(pieces), np.float32).reshape(-1, LATENT_DIM)


def read_postgresql_by_hand(connection: Connection) -> NDArray[np.float32]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT string_agg(value, '' ORDER BY id) FROM latent "
            "GROUP BY id / 50000 ORDER BY id / 50000"
        )
        pieces = [row[0] for row in cursor]
    return np.frombuffer(b"".join(pieces), np.float32).reshape(-1, LATENT_DIM)


if __name__ == "__main__":
    main()
