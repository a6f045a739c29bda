"""How many images per second a client encodes and publishes, compared with torch and by hand.

Edges are the paper's autoencoder, and one of convolutions whose maps travel in each packing. The
guarantees of each subject, for images of 28x28 that are already in memory:

* ``encode + publish``: what ``ioa client publish`` does. Every message is on the disk (fsync)
  before it is sent, is kept until the server has acknowledged it, and is sent again otherwise. The
  time ends with the last acknowledgement.
* ``Client.publish``: the same from Python, with images and labels in two arrays. It loads the
  encoder as well.
* ``encode + publish, torch``: the same with the encoder in PyTorch.
* ``encode alone``: images to latents, nothing is sent. ``publish alone``: latents that were encoded
  before are packed and sent, with all guarantees above. One after the other they reach
  1 / (1 / encode + 1 / publish).
* ``by hand``: the ceiling without an outbox. ONNX Runtime, fastavro and an idempotent producer with
  acks=all, which waits for the deliveries. A killed client loses what it had in memory, and does
  not learn whether the server stored the rest.

Encoders run on one thread. Instead of a server, a process only acknowledges what arrives. This
process, the broker and the client share the processor.

Example: python -m benchmarks.encode_publish --quick
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from benchmarks.bench import ROOT
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.subjects.publishers import EncodedBefore, TorchEncoder, publish_by_hand
from client_autoencoder import Client as LibraryClient
from client_autoencoder.connection import open_relay
from client_autoencoder.encoders.edge import EdgeConfig
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.exchanges.learning import publish
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.images.batches import ImageBatch, join_batches
from client_autoencoder.privacy.mechanism import NoMechanism
from client_autoencoder.settings import ClientSettings
from schemas.models.manifest_fields import TrainingData
from schemas.vector import Packing
from schemas.wire import avro_form
from stream.artefacts.encoder_files import read_encoder
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics

CLIENT = "radiology-1"
OURS, TORCH, SINGLY = "encode + publish", "encode + publish, torch", "encode + publish, one by one"
LIBRARY = "Client.publish, arrays"
ENCODE, PUBLISH = "encode alone", "publish alone"
HAND, HAND_TORCH = "by hand, no outbox", "by hand, no outbox, torch"
PROCESS = "ioa client publish, the process"
COLUMNS = {
    "rate": Column("images/s", better="more"),
    "of_sum": Column("of encode, then publish", "{:.2f} x", better="more"),
    "of_command": Column("of the command's publish", "{:.2f} x", better="more"),
    "of_torch": Column("of the same on torch", "{:.2f} x", better="more"),
    "of_hand": Column("of by hand", "{:.2f} x", better="more"),
    "cpu_us": Column("client's CPU us per image", "{:.1f}", better="less"),
    "rss_mb": Column("most MB", "{:.0f}", better="less"),
}
_BATCH = 64
_SIDE = 28
LATENTS: dict[str, tuple[EdgeConfig, Packing]] = {
    "64 int8": (AutoencoderConfig(_SIDE, _SIDE, 64), "int8"),
    "784 float32": (AutoencoderConfig(_SIDE, _SIDE, 784), "float32"),
}
MAPS: dict[str, tuple[EdgeConfig, Packing]] = {
    f"16x7x7 {packing}": (ConvolutionConfig(1, _SIDE, _SIDE), packing)
    for packing in get_args(Packing)
}
SHAPES = LATENTS | MAPS
AIMS = [
    Aim(OURS, "of_sum", 0.85),
    *(Aim(OURS, "of_torch", 1.6, {"latent": latent}) for latent in LATENTS),
    Aim(LIBRARY, "of_command", 0.95),
    Aim(PROCESS, "rss_mb", 150.0),
]
_TIMEOUT = 60.0

Work = Callable[[list[ImageBatch]], object]


@dataclass(frozen=True)
class Client:
    """A client with its topics and a directory for its outboxes."""

    kafka: KafkaSettings
    directory: Path
    dtype: Packing

    def publish(self, encoder: Encoder, batches: Iterable[ImageBatch]) -> None:
        """Do what ``ioa client publish`` does with the images it reads, with a new outbox."""
        maker = MessageMaker(
            client_id=CLIENT,
            encoder=encoder,
            mechanism=NoMechanism(),
            form=avro_form.CONTENT_TYPE,
            now=lambda: datetime.now(UTC),
            random=secrets.token_bytes,
            dtype=self.dtype,
        )
        client = ClientSettings(client_id=CLIENT, outbox=self.new_outbox())
        with open_relay(client, self.kafka, clock=time.time, on_notice=print) as relay:
            done = publish(batches, maker, relay, timeout=_TIMEOUT, on_progress=lambda *_: None)
        assert done.acknowledged == done.sent, f"{done.acknowledged} of {done.sent}"

    def publish_arrays(
        self, encoder: Path, images: NDArray[np.float32], labels: Sequence[str]
    ) -> None:
        """Publish from Python, with a new outbox."""
        with LibraryClient(
            client_id=CLIENT,
            encoder=encoder,
            bootstrap_servers=self.kafka.bootstrap_servers,
            prefix=self.kafka.prefix,
            dtype=self.dtype,
            outbox=self.new_outbox(),
        ) as client:
            done = client.publish(images, labels)
        assert done.acknowledged == len(images), f"{done.acknowledged} of {len(images)}"

    def new_outbox(self) -> Path:
        return self.directory / secrets.token_hex(4)

    def publish_by_hand(self, encoder: Encoder, batches: list[ImageBatch]) -> None:
        publish_by_hand(self.kafka, CLIENT, encoder, self.dtype, batches)


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    measured: list[Measurement] = []
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="ioa-bench-") as directory:
        folder = Path(directory)
        with EmbeddedBroker(folder / "kafka", announce=print) as broker:
            for shape in options.shapes:
                with serve(broker.bootstrap_servers) as kafka:
                    measured += compare(kafka, folder / shape, shape, options)
    report(options.out, "encode_publish", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: temporary")
    options = parser.parse_args()
    if options.quick:
        options.images, options.runs = 5_000, 1
    return options


@contextmanager
def serve(bootstrap: str) -> Iterator[KafkaSettings]:
    """Create the topics of a new deployment, and acknowledge the messages written there."""
    kafka = KafkaSettings(bootstrap_servers=bootstrap, prefix=f"bench-{secrets.token_hex(4)}")
    topics = Topics(kafka.prefix)
    create_topics(kafka, [*topics.shared(), topics.replies(CLIENT)])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "benchmarks.subjects.acknowledger"],
        env=os.environ | describe_client(kafka),
    )
    try:
        yield kafka
    finally:
        process.kill()
        process.wait()


def compare(
    kafka: KafkaSettings, folder: Path, shape: str, options: argparse.Namespace
) -> list[Measurement]:
    """Let all subjects process the same images in turn."""
    config, dtype = SHAPES[shape]
    client = Client(kafka, folder, dtype)
    batches = make_batches(options.images)
    subjects = make_subjects(client, folder, config, batches)
    measured = {name: Measurement("encode_publish", {"latent": shape}, name) for name in subjects}
    for _ in range(options.runs):
        for name, work in subjects.items():
            print(f"{shape}: {name}", file=sys.stderr)
            chosen = batches[: len(batches) // 20] if name == SINGLY else batches
            measured[name].runs.append(measure(work, chosen))
        compare_turn({name: rows.runs[-1] for name, rows in measured.items()})  # type: ignore[misc]
    process = Measurement("encode_publish", {"latent": shape}, PROCESS)
    process.runs = [run_process(client) for _ in range(min(options.runs, 2))]
    return [*measured.values(), process]


def make_encoders(directory: Path, config: EdgeConfig, batch: ImageBatch) -> dict[str, Encoder]:
    """Return the encoders of the subjects, hardly trained: that costs as much to run."""
    options = TrainingOptions(epochs=1, attempts=1)
    trained = train(batch.images, config, options, torch.Generator().manual_seed(0))
    write_encoder(directory, trained, TrainingData("noise", "0" * 64, len(batch), "public"))
    files = read_encoder(directory)
    ours, latents = Encoder(files), (512, *config.output_shape)
    return {
        OURS: ours,
        TORCH: TorchEncoder(files, trained.edge),
        PUBLISH: EncodedBefore(files, np.resize(ours.encode(batch.images), latents)),
    }


def make_subjects(
    client: Client, folder: Path, config: EdgeConfig, batches: list[ImageBatch]
) -> dict[str, Work]:
    encoder = folder / "encoder"
    encoders = make_encoders(encoder, config, batches[0])
    images, labels = join_arrays(batches)

    def encode(batches: list[ImageBatch]) -> None:
        for batch in batches:
            encoders[OURS].encode(batch.images)

    def send(subject: str) -> Work:
        return lambda batches: client.publish(encoders[subject], join_batches(batches))

    return {
        OURS: send(OURS),
        LIBRARY: lambda _: client.publish_arrays(encoder, images, labels),
        ENCODE: encode,
        PUBLISH: send(PUBLISH),
        TORCH: send(TORCH),
        HAND: partial(client.publish_by_hand, encoders[OURS]),
        HAND_TORCH: partial(client.publish_by_hand, encoders[TORCH]),
        SINGLY: lambda batches: client.publish(encoders[OURS], singly(batches)),
    }


def make_batches(images: int) -> list[ImageBatch]:
    """Return batches of noise that share a few arrays."""
    rng = np.random.default_rng(0)
    arrays = [rng.random((_BATCH, 1, _SIDE, _SIDE), np.float32) for _ in range(8)]
    labels = [str(number % 10) for number in range(_BATCH)]
    return [
        ImageBatch(arrays[i % 8], labels, [f"{i}/{number}.png" for number in range(_BATCH)])
        for i in range(images // _BATCH)
    ]


def join_arrays(batches: list[ImageBatch]) -> tuple[NDArray[np.float32], list[str]]:
    """Return images and labels as a notebook holds them."""
    labels = [str(label) for batch in batches for label in batch.labels]
    return np.concatenate([batch.images for batch in batches]), labels


def singly(batches: list[ImageBatch]) -> list[ImageBatch]:
    return [batch.select([i]) for batch in batches for i in range(len(batch))]


def measure(work: Work, batches: list[ImageBatch]) -> dict[str, float]:
    """Return images per second, and CPU microseconds of this process per image."""
    count = sum(map(len, batches))
    clock, processor = time.perf_counter(), time.process_time()
    work(batches)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - processor
    return {"rate": count / seconds, "cpu_us": cpu / count * 1e6}


def compare_turn(turn: Mapping[str, dict[str, float]]) -> None:
    """Add the ratios of one turn to its runs."""
    rate = {name: run["rate"] for name, run in turn.items()}
    turn[OURS]["of_sum"] = rate[OURS] * (1 / rate[ENCODE] + 1 / rate[PUBLISH])
    turn[LIBRARY]["of_command"] = rate[LIBRARY] / rate[OURS]
    turn[OURS]["of_torch"] = rate[OURS] / rate[TORCH]
    turn[OURS]["of_hand"] = rate[OURS] / rate[HAND]
    turn[TORCH]["of_hand"] = rate[TORCH] / rate[HAND_TORCH]
    turn[HAND]["of_torch"] = rate[HAND] / rate[HAND_TORCH]


def run_process(client: Client, images: int = 5000) -> dict[str, float]:
    """Run ``ioa client publish`` on an NPZ file; return its peak memory."""
    file = client.directory / "images.npz"
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, _SIDE, _SIDE), np.uint8)
    np.savez(file, images=pixels, labels=np.arange(images) % 10)
    command = ["ioa", "client", "publish", "--data", str(file), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *command, "--encoder", str(client.directory / "encoder")],
        env=os.environ
        | describe_client(client.kafka)
        | {"IOA_CLIENT__OUTBOX": str(client.directory), "IOA_CLIENT__DTYPE": client.dtype},
        stdout=subprocess.DEVNULL,
    )
    most = 0
    while process.poll() is None:
        with suppress(psutil.Error):  # it may have ended
            most = max(most, psutil.Process(process.pid).memory_info().rss)
        time.sleep(0.01)
    assert process.returncode == 0, f"ioa client publish ended with {process.returncode}"
    return {"rss_mb": most / 1e6}


def describe_client(kafka: KafkaSettings) -> dict[str, str]:
    """Return the environment variables of the client's processes."""
    return {
        "PYTHONPATH": str(ROOT),
        "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "IOA_KAFKA__PREFIX": kafka.prefix,
        "IOA_CLIENT__CLIENT_ID": CLIENT,
        "BENCH_CLIENT": CLIENT,
    }


if __name__ == "__main__":
    main()
