"""How fast learning messages get from Kafka into the database, beside a ceiling and two peers.

A topic is filled, then each subject in turn reads it into a new database: our ``ioa server
ingest`` and ``hand``, which keep the same promises (rows and positions in one transaction, every
message acknowledged after the commit); FastStream and Quix Streams, which promise at least once
and check nothing. Measured from the first row that is seen to the last.

Example: python -m benchmarks.ingest --quick
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from benchmarks.learning_load import CLIENT, SHAPES, Load, Shape, fill_topic
from benchmarks.measurement import Measurement, write_results
from benchmarks.peers import find_python
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.registry import add_client, add_encoder
from stream.broker.embedded import EmbeddedBroker
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics
from tests.support.postgres import Postgres, run_postgres
from tests.support.server import make_manifest

ROOT = Path(__file__).parent.parent
OURS, HAND = "ioa server ingest", "hand loop"
_LIMIT_SECONDS = 300.0
COLUMNS = {
    "rate": "messages/s|{:,.0f}",
    "of_hand": "of the hand loop|{:.2f} x",
    "cpu_us": "CPU us per message|{:.1f}",
    "first_seconds": "first row after s|{:.2f}",
    "rss_mb": "MB at the end|{:.0f}",
}


@dataclass(frozen=True)
class Subject:
    """A program that reads the topic into the database.

    Attributes:
        peer: whose environment it needs; None for our own.
    """

    name: str
    module: tuple[str, ...]
    peer: str | None = None
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    environment: Mapping[str, str] | None = None


SUBJECTS = [
    Subject(OURS, ("ioa", "server", "ingest")),
    Subject(HAND, ("benchmarks.subjects.hand_loop",)),
    Subject("FastStream batch", ("benchmarks.subjects.faststream_batch",), "faststream"),
    Subject(
        "FastStream batch, acknowledging",
        ("benchmarks.subjects.faststream_batch",),
        "faststream",
        environment={"BENCH_ACKNOWLEDGE": "1"},
    ),
    Subject("Quix Streams, its sink", ("benchmarks.subjects.quix_sink",), "quix", ("postgresql",)),
]


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    with open_bench() as bench:
        for database, shape, repeated in product(
            options.databases, options.shapes, options.repeated
        ):
            measured += bench.compare(database, SHAPES[shape], repeated, options)
    print(write_results(options.out, "ingest", measured, COLUMNS))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000, help="JSON takes two fifths of it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--repeated", nargs="+", type=float, default=[0.0, 0.01])
    parser.add_argument("--subjects", nargs="+", help="names, or the beginnings of names")
    parser.add_argument("--quick", action="store_true", help="one shape, no repetitions, one run")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers")
    options = parser.parse_args()
    if options.quick:
        options.shapes, options.repeated, options.runs = ["int8x64"], [0.0], 1
        options.messages = min(options.messages, 20_000)
    return options


@contextmanager
def open_bench() -> Iterator["Bench"]:
    """Start a broker and a PostgreSQL."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="ioa-bench-")))
        broker = running.enter_context(EmbeddedBroker(folder / "kafka", announce=print))
        yield Bench(folder, broker.bootstrap_servers, running.enter_context(run_postgres(fsync=True)))


@dataclass
class Bench:
    """A broker and a database server, and what is measured on them."""

    folder: Path
    bootstrap: str
    postgres: Postgres

    def compare(
        self, database: str, shape: Shape, repeated: float, options: argparse.Namespace
    ) -> list[Measurement]:
        """Let every subject read the same topic, in turns."""
        count = options.messages * 2 // 5 if shape.name == "json784" else options.messages
        kafka, load = self.fill(shape, count, repeated)
        condition = {"database": database, "message": shape.name, "repeated": f"{repeated:.0%}"}
        chosen = [
            Measurement("ingest", condition, one.name)
            for one in SUBJECTS
            if database in one.databases and _is_chosen(one.name, options.subjects)
        ]
        by_name = {one.name: one for one in SUBJECTS}
        for _ in range(options.runs):
            for one in chosen:
                print(f"{database} {shape.name} {repeated:.0%} {one.subject}", file=sys.stderr)
                with self.make_database(database, shape) as engine:
                    subject = by_name[one.subject]
                    one.runs.append(self.run(kafka, engine, subject, load, options.peers))
        _compare_with_hand(chosen)
        return chosen

    def fill(self, shape: Shape, count: int, repeated: float) -> tuple[KafkaSettings, Load]:
        """Make the topics of a new deployment and fill the learning topic."""
        prefix = f"bench-{secrets.token_hex(4)}"
        kafka = KafkaSettings(bootstrap_servers=self.bootstrap, prefix=prefix)
        topics = Topics(prefix)
        create_topics(kafka, [*topics.shared(), topics.replies(CLIENT)])
        encoder_id = make_manifest(shape.latent_dim).encoder_id
        load = fill_topic(self.bootstrap, topics, shape, encoder_id, count=count, repeated=repeated)
        return kafka, load

    @contextmanager
    def make_database(self, kind: str, shape: Shape) -> Iterator[Engine]:
        """Yield a new database that knows client and encoder."""
        file = self.folder / f"{secrets.token_hex(4)}.db"
        url = f"sqlite:///{file}" if kind == "sqlite" else self.postgres.create_database()
        engine = open_database(url)
        ensure_current(engine)
        now = datetime.now(UTC)
        with writing(engine) as connection:
            add_encoder(connection, make_manifest(shape.latent_dim), now=now)
            add_client(connection, client_id=CLIENT, site="st-mary", default_encoder=None, now=now)
        yield engine
        engine.dispose()
        for part in self.folder.glob(f"{file.name}*"):
            part.unlink()

    def run(
        self, kafka: KafkaSettings, engine: Engine, subject: Subject, load: Load, peers: Path
    ) -> dict[str, float]:
        """Start the subject, wait until all is stored, and end it."""
        python = find_python(subject.peer, peers) if subject.peer else sys.executable
        url = engine.url.set(drivername=engine.url.get_backend_name())
        environment = {
            "PYTHONPATH": str(ROOT),
            "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "IOA_KAFKA__PREFIX": kafka.prefix,
            "IOA_SERVER__DATABASE_URL": url.render_as_string(hide_password=False),
            "BENCH_GROUP": secrets.token_hex(4),
            **(subject.environment or {}),
        }
        log = self.folder / "subject.log"
        with log.open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                [python, "-m", *subject.module],
                env=os.environ | environment,
                stdout=output,
                stderr=output,
            )
            try:
                return _watch(psutil.Process(process.pid), engine, load, started)
            except (TimeoutError, psutil.Error) as error:
                sys.exit(f"{subject.name}: {error!r}\n{log.read_text()[-3000:]}")
            finally:
                process.kill()
                process.wait()


def _watch(process: psutil.Process, engine: Engine, load: Load, started: float) -> dict[str, float]:
    """Measure from the first row that is seen to the last."""
    known = _poll(
        process, engine, "SELECT count(*) FROM latent", lambda count: count > 0, pause=0.005
    )
    begin, cpu = time.monotonic(), _cpu_seconds(process)
    last = ", ".join(f"'{one}'" for one in load.last_ids)
    _poll(
        process,
        engine,
        f"SELECT count(*) FROM latent WHERE message_id IN ({last})",  # noqa: S608 - our own ids
        lambda count: count == len(load.last_ids),
        pause=0.02,
    )
    rest = load.messages - known
    seconds, cpu = time.monotonic() - begin, _cpu_seconds(process) - cpu
    rss = process.memory_info().rss
    with reading(engine) as connection:
        stored = connection.scalar(text("SELECT count(*) FROM latent"))
    assert stored == load.distinct, f"{stored} rows of {load.distinct}"
    return {
        "rate": rest / seconds,
        "cpu_us": cpu / rest * 1e6,
        "first_seconds": begin - started,
        "rss_mb": rss / 1e6,
    }


def _poll(
    process: psutil.Process,
    engine: Engine,
    query: str,
    enough: Callable[[int], bool],
    *,
    pause: float,
) -> int:
    """Ask until the answer is enough, and return it."""
    give_up = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < give_up:
        with reading(engine) as connection:
            answer = int(connection.scalar(text(query)) or 0)
        if enough(answer):
            return answer
        if process.status() == psutil.STATUS_ZOMBIE:
            raise TimeoutError("it ended")
        time.sleep(pause)
    raise TimeoutError(f"not done after {_LIMIT_SECONDS:.0f} s")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _is_chosen(name: str, wanted: Iterable[str] | None) -> bool:
    return wanted is None or any(name.startswith(one) for one in wanted)


def _compare_with_hand(measured: Iterable[Measurement]) -> None:
    """Add to each run the ratio to the hand loop's run of the same turn."""
    by_name = {one.subject: one for one in measured}
    if HAND not in by_name:
        return
    for one in by_name.values():
        one.runs = [
            {**run, "of_hand": run["rate"] / hand["rate"]}
            for run, hand in zip(one.runs, by_name[HAND].runs, strict=True)
        ]


if __name__ == "__main__":
    main()
