"""One-shot latents compared with federated averaging, on MNIST.

Five clients have 1,000 images each, and 10,000 are for the test. Ours: an encoder with 64 latent
numbers is trained once on 5,000 public images without labels. Each client sends one int8 message
per image, and the server trains its classifier. Flower: federated averaging in its simulation, with
a CNN of 114 k parameters and a number of rounds of local epochs. Further rows give both sides the
same ten augmented copies of each image. Images are divided at random, or two classes to a client.

Bytes: ours are the broker's batches of the messages (up) and of their acknowledgements (down), and
the encoder's files for every client (down). Flower's are its messages as it serialises them. TCP
and TLS are not counted. Seconds: ours go from images to the tested classifier in one process, one
client after the other, without the training of the encoder, which has its own column. Flower's are
of its whole process, with the start of Ray and two clients at a time on two cores.

Advantages of federated averaging: no record of a patient leaves the site, while a decoder can turn
a latent back into an image; no public images are needed; and each site can then predict on its own,
while ours asks the server. Advantages of ours: one message per image instead of 10 rounds in which
all clients take part, no training at the sites, the same accuracy however labels are spread, and
latents that also serve the next task.

Example: python -m benchmarks.federated --seeds 3
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.bench import ROOT
from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.peers import find_python
from benchmarks.subjects.one_shot import learn_once, train_encoder
from benchmarks.wire import Wire
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch
from ioa.research.lab.parts import Parts
from ioa.research.papers.one_shot_latents.division import divide
from ioa.research.papers.one_shot_latents.plan import Plan
from stream.broker.embedded import EmbeddedBroker

COPIES = 10
OURS, OURS_AUGMENTED = "one-shot latents", f"one-shot latents, {COPIES} copies"
COLUMNS = {
    "mean": Column("accuracy, mean", "{:.2%}", better="more"),
    "spread": Column("best - worst seed", "{:.2%}"),
    "up_mb": Column("MB up", "{:.2f}", better="less"),
    "down_mb": Column("MB down", "{:.2f}", better="less"),
    "of_ours": Column("all bytes, of ours", "{:.2f} x"),
    "rounds": Column("rounds"),
    "seconds": Column("s", "{:.1f}", better="less"),
    "encoder_seconds": Column("s for the encoder, once", "{:.0f}", better="less"),
    "seeds": Column("seeds"),
}
AIMS = [Aim(OURS, "down_mb", 5.0), Aim(OURS_AUGMENTED, "mean", 0.98)]
DIVISIONS = {"at random": False, "two classes each": True}
_MODULE = "benchmarks.subjects.flower_fedavg"
Result = dict[str, float]


@dataclass(frozen=True)
class Averaging:
    """Settings of one run of Flower.

    Attributes:
        epochs: local epochs of each client in each round.
        copies: augmented copies of each image.
    """

    rounds: int
    epochs: int
    copies: int = 0

    @property
    def name(self) -> str:
        extra = f", {self.copies} copies" if self.copies else ""
        return f"Flower, CNN, {self.rounds} x {self.epochs}{extra}"


AVERAGINGS = [Averaging(10, 1), Averaging(5, 5), Averaging(5, 1, COPIES)]


def main() -> None:
    options = read_options()
    measured: dict[tuple[str, str], Measurement] = {}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory(prefix="ioa-federated-") as folder:
            for division, subject, result in compare(options, Path(folder), seed):
                print(seed, division, subject, result, file=sys.stderr)
                row = Measurement("federated", {"division": division}, subject)
                measured.setdefault((division, subject), row).runs.append(result)
    for row in measured.values():
        _sum_up(row)
    rows = sorted(measured.values(), key=lambda row: row.condition["division"])
    report(options.out, "federated", rows, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--flower-seeds", type=int, default=2, help="the first of the seeds")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers")
    options = parser.parse_args()
    data = os.environ.get("IOA_DATA_DIR")
    options.mnist = Path(data or "") / "mnist.npz"
    if not data or not options.mnist.is_file():
        sys.exit(
            "IOA_DATA_DIR must name a folder that holds mnist.npz: train_images, "
            "train_labels, test_images and test_labels, as experiment 003 reads them"
        )
    options.averagings, options.divisions, options.copies = AVERAGINGS, DIVISIONS, [0, COPIES]
    if options.quick:
        options.seeds = options.flower_seeds = 1
        options.divisions, options.copies = {"at random": False}, [0]
        options.averagings = [replace(AVERAGINGS[0], rounds=2)]
    return options


def compare(
    options: argparse.Namespace, folder: Path, seed: int
) -> Iterator[tuple[str, str, Result]]:
    """Yield division, subject and result; all subjects of a division learn from the same images."""
    divisions = {
        name: divide(Plan(str(options.mnist), non_iid=non_iid), seed).parts
        for name, non_iid in options.divisions.items()
    }
    public = divisions["at random"].public  # the same in both
    shared = train_encoder(public, folder / "encoder", seed, epochs=1 if options.quick else None)
    plain: dict[str, Result] = {}
    with EmbeddedBroker(folder / "kafka", announce=print) as broker:
        for division, parts in divisions.items():
            for copies in options.copies:
                subject = OURS_AUGMENTED if copies else OURS
                result = learn_once(parts, shared, copies, seed, Wire(broker))
                yield division, subject, _compare(result, plain.setdefault(division, result))
    if seed >= options.flower_seeds:
        return
    python = find_python("flower", options.peers)
    for (division, parts), averaging in product(divisions.items(), options.averagings):
        write_files(folder, parts, averaging.copies, seed)
        result = average(python, folder, averaging, seed)
        yield division, averaging.name, _compare(result, plain[division])


def write_files(folder: Path, parts: Parts, copies: int, seed: int) -> None:
    """Write the images of each client and those of the test."""
    rng = np.random.default_rng(seed)
    for number, images in enumerate(parts.clients, start=1):
        batches = augment_batches([images], copies, rng, lambda: "")
        (batch,) = batches if copies else [images]
        _write(folder / f"client-{number}.npz", batch)
    _write(folder / "test.npz", parts.unseen)


def _write(file: Path, batch: ImageBatch) -> None:
    pixels = np.rint(batch.images[:, 0] * 255).astype(np.uint8)
    np.savez(file, images=pixels, targets=np.array([int(str(label)) for label in batch.labels]))


def average(python: str, folder: Path, averaging: Averaging, seed: int) -> Result:
    """Run Flower once, from the start of its process to the end."""
    began = time.perf_counter()
    arguments = {"rounds": averaging.rounds, "epochs": averaging.epochs, "seed": seed}
    options = [f"--{name}={value}" for name, value in arguments.items()]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FLWR_TELEMETRY_ENABLED": "0"}
    run = subprocess.run(
        [python, "-P", "-m", _MODULE, str(folder), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(f"{averaging.name}: {run.stderr[-3000:]}")
    output = json.loads(run.stdout.splitlines()[-1])
    return {
        "accuracy": output["accuracy"],
        "up_mb": output["bytes_up"] / 1e6,
        "down_mb": output["bytes_down"] / 1e6,
        "rounds": averaging.rounds,
        "seconds": time.perf_counter() - began,
    }


def _compare(result: Result, ours: Result) -> Result:
    total, our_total = (row["up_mb"] + row["down_mb"] for row in (result, ours))
    return {**result, "of_ours": total / our_total}


def _sum_up(measured: Measurement) -> None:
    """Add mean and spread of the accuracy over all runs to each run."""
    accuracies = [run["accuracy"] for run in measured.runs]
    spread = {
        "mean": fmean(accuracies),
        "spread": max(accuracies) - min(accuracies),
        "seeds": len(accuracies),
    }
    measured.runs = [{**run, **spread} for run in measured.runs]


if __name__ == "__main__":
    main()
