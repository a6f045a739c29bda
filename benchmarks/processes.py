"""How soon each process that a user runs gives its first result, and how much memory it uses.

Services: ``ready`` is the first 200 of /readyz. The first result is a row, a trained version or an
answer; all that it needs exists before the start. Then each service works: on 20,000 messages,
2,000 questions, or a training with 5,000 latents. Client commands: the seconds until they end with
one image, and the most memory with one image and with 2,000. The bare processes only import the
same large libraries and read one record from Kafka. The very first ``ioa server infer`` waits until
a new broker has made its topic of offsets. It finds no offsets of its group, so librdkafka asks for
the beginning of each partition, and gets the answer only after a fetch of half a second.

Example: python -m benchmarks.processes --runs 3
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from sqlalchemy import Engine, text

from benchmarks.bench import Bench, open_bench
from benchmarks.learning_load import ASKER, CLIENT, SHAPES, fill_topic
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.service_load import make_questions
from benchmarks.watching import Check, await_all, count, measure_mb, run_command
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.training import train
from schemas.models.manifest_fields import TrainingData
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.artefacts.encoder_files import read_encoder
from stream.broker.daemon import read_status, stop_daemon
from stream.exchange.reply_client import ReplyClient
from stream.kafka.settings import KafkaSettings
from tests.support.images import CLASSES, draw_images
from tests.support.manifests import make_manifest
from tests.support.probe import Probe, find_free_address
from tests.support.server import NOW, store_classifier

COLUMNS = {
    "ready_seconds": Column("ready after s", "{:.2f}", better="less"),
    "first_seconds": Column("first result after s", "{:.2f}", better="less"),
    "cpu_seconds": Column("CPU s until both", "{:.2f}", better="less"),
    "first_mb": Column("MB then", "{:.0f}", better="less"),
    "worked_mb": Column("MB after work", "{:.0f}", better="less"),
    "own_mb": Column("without its children", "{:.0f}", better="less"),
}
PUBLISH, ASK = "ioa client publish", "ioa client ask"
INGEST, INFER, TRAIN = "ioa server ingest", "ioa server infer", "ioa server train"
AIMS = [
    Aim(INGEST, "first_seconds", 0.5),
    Aim(INFER, "ready_seconds", 0.5),
    *(Aim(subject, "worked_mb", 150) for subject in (PUBLISH, ASK, INGEST, INFER)),
]
_SHAPE = SHAPES["int8x64"]
_MADE_UP = make_manifest(_SHAPE.latent_dim).network_id
_SIDE = 28
Result = dict[str, float]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rows = 4_000 if options.quick else 20_000
    measured: dict[str, Measurement] = {}
    with open_bench() as bench:
        write_client_files(bench.folder, rows // 10)
        for _ in range(1 if options.quick else options.runs):
            for subject, result in measure(bench, rows):
                print(subject, result, file=sys.stderr)
                row = measured.setdefault(subject, Measurement("processes", {}, subject))
                row.runs.append(result)
    report(options.out, "processes", [*measured.values()], COLUMNS, AIMS)


def measure(bench: Bench, rows: int) -> Iterator[tuple[str, Result]]:
    """Yield each subject with the figures of one start."""
    with bench.make_database("sqlite", _SHAPE) as engine:
        site = Site(bench, bench.make_topics(), engine)
        store_classifier(engine, _MADE_UP, list("0123456789"), _SHAPE.latent_dim)
        yield f"{INFER}, the very first", site.watch_infer(rows // 10)
        yield INFER, site.watch_infer(rows // 10)
    with bench.make_database("sqlite", _SHAPE) as engine:
        site = Site(bench, bench.make_topics(), engine)
        fill_topic(site.kafka, _SHAPE, _MADE_UP, count=rows, repeated=0.0)
        for libraries in (["numpy", "sqlalchemy"], ["numpy", "onnxruntime"]):
            yield f"bare process: {', '.join(libraries)}", site.watch_bare(libraries)
        yield INGEST, site.watch("ingest", site.has("latent"), site.has("latent", rows))
    with bench.make_database("sqlite", _SHAPE) as engine:
        site = Site(bench, bench.make_topics(), engine)
        fill_topic(site.kafka, _SHAPE, _MADE_UP, count=rows // 4, repeated=0.0)
        yield (
            "ioa server run, all four processes",
            site.watch("run", site.has("latent"), site.has("classifier")),
        )
        site.forget("classifier")
        yield TRAIN, site.watch("train", site.has("classifier"), site.has("classifier"))
        yield from site.watch_clients()
    yield "ioa broker start", watch_broker(bench.folder / f"broker-{time.monotonic_ns()}")


@dataclass(frozen=True)
class Site:
    """A deployment whose processes are started and measured."""

    bench: Bench
    kafka: KafkaSettings
    engine: Engine

    def has(self, table: str, rows: int = 1) -> Check:
        """Return a check whether a table has so many rows."""
        return lambda: count(self.engine, f"SELECT count(*) FROM {table}") >= rows

    def forget(self, table: str) -> None:
        """Empty a table."""
        with writing(self.engine) as connection:
            connection.execute(text(f"DELETE FROM {table}"))

    def watch(
        self, service: str, first: Check, done: Check, work: Callable[[], None] = lambda: None
    ) -> Result:
        """Start a service; measure it after its first result, and again when ``done`` holds.

        Args:
            work: gives the service more to do after its first result.
        """
        probe = Probe(find_free_address(ports=4))
        environment = {"IOA_SERVER__HEALTH": probe.address}
        began = time.monotonic()
        with self.bench.start(
            self.kafka, self.engine, "ioa", "server", service, environment=environment
        ) as process:
            seconds = await_all({"ready": lambda: _is_ready(probe), "first": first}, began)
            cpu = process.cpu_times()
            first_mb = measure_mb(process)
            work()
            await_all({"done": done}, began)
            return {
                "ready_seconds": seconds["ready"],
                "first_seconds": seconds["first"],
                "cpu_seconds": cpu.user + cpu.system,
                "first_mb": first_mb,
                "worked_mb": measure_mb(process),
                "own_mb": process.memory_info().rss / 1e6,
            }

    def watch_infer(self, questions: int) -> Result:
        """Ask a question, start the service, and ask the others after the first answer."""
        first, *others = make_questions(self.kafka, _MADE_UP, 1 + questions, seed=0)
        unanswered = {question.message_id for question in (first, *others)}
        with ReplyClient(self.kafka, ASKER) as reply_client:

            def is_first_there() -> bool:
                are_all_there()
                return first.message_id not in unanswered

            def are_all_there() -> bool:
                # Questions that a killed process left may be answered again.
                unanswered.difference_update(
                    answer.in_reply_to for answer in reply_client.poll(0.0).answers
                )
                return not unanswered

            reply_client.connect(30.0)
            reply_client.send([first])
            return self.watch(
                "infer", is_first_there, are_all_there, work=lambda: reply_client.send(others)
            )

    def watch_bare(self, libraries: list[str]) -> Result:
        """Start a process that imports libraries and reads one record."""
        module = "benchmarks.subjects.bare_process"
        began = time.monotonic()
        with self.bench.start(self.kafka, self.engine, module, *libraries) as process:
            seconds = await_all({"first": lambda: "read" in self.bench.log.read_text()}, began)
            cpu = process.cpu_times()
            return {
                "first_seconds": seconds["first"],
                "cpu_seconds": cpu.user + cpu.system,
                "first_mb": measure_mb(process),
            }

    def watch_clients(self) -> Iterator[tuple[str, Result]]:
        """Publish and ask with one image and with many, while the server runs."""
        encoder = self.bench.folder / "encoder"
        with writing(self.engine) as connection:
            add_encoder(connection, manifest := read_encoder(encoder).manifest, now=NOW)
        store_classifier(self.engine, manifest.network_id, CLASSES, manifest.latent_dim)
        probe = Probe(find_free_address(ports=4))
        server = {"IOA_SERVER__HEALTH": probe.address}
        with self.bench.start(self.kafka, self.engine, "ioa", "server", "run", environment=server):
            probe.wait_until_ready()
            for subject, client in ((PUBLISH, CLIENT), (ASK, ASKER)):
                yield subject, self._watch_client(subject, client, encoder)

    def _watch_client(self, subject: str, client: str, encoder: Path) -> Result:
        command = [*subject.split()[1:], "--data", str(self.bench.folder / "images.npz")]
        environment = {
            "IOA_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "IOA_KAFKA__PREFIX": self.kafka.prefix,
            "IOA_CLIENT__CLIENT_ID": client,
            "IOA_CLIENT__ENCODER": str(encoder),
            "IOA_CLIENT__OUTBOX": str(self.bench.folder / f"outbox-{self.kafka.prefix}"),
        }
        seconds, first_mb = run_command([*command, "--limit", "1"], environment)
        _, worked_mb = run_command(command, environment)
        return {"first_seconds": seconds, "first_mb": first_mb, "worked_mb": worked_mb}


def write_client_files(folder: Path, images: int) -> None:
    """Write images and an encoder of the paper's size; its quality does not matter."""
    batch = draw_images(images, side=_SIDE)
    config = AutoencoderConfig(_SIDE, _SIDE, _SHAPE.latent_dim)
    trained = train(
        batch.images[:100], config, TrainingOptions(epochs=1, attempts=1), torch.Generator()
    )
    write_encoder(folder / "encoder", trained, TrainingData("made", "0" * 64, 100, "public"))
    pixels = np.rint(batch.images[:, 0] * 255).astype(np.uint8)
    np.savez(folder / "images.npz", train_images=pixels, train_labels=np.array(batch.labels))


def watch_broker(folder: Path) -> Result:
    """Start a broker in a new folder and measure its Java process."""
    seconds, _ = run_command(["broker", "start", "--directory", str(folder)], {})
    try:
        mb = measure_mb(psutil.Process(read_status(folder).pid))
    finally:
        stop_daemon(folder)
    return {"first_seconds": seconds, "first_mb": mb}


def _is_ready(probe: Probe) -> bool:
    try:
        return not probe.read_faults()
    except OSError:
        return False  # nobody listens yet


if __name__ == "__main__":
    main()
