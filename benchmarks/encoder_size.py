"""What int8 weights save and cost: the size of an encoder, and the accuracy of its classifier.

For each random seed, MNIST is divided as in the experiment: 5,000 public images for the encoder,
1,000 for each of five clients, and the whole test set. The same autoencoder is trained twice, as
`ioa encoder train` does with `--weights float32` and `--weights int8`. Clients encode, latents are
sent as int8, and the server's classifier learns from all 5,000. ``bytes`` is the size of what a
client needs: the manifest and the ONNX file. ``points lost`` compares the accuracy with float32 of
the same seed.

Example: IOA_DATA_DIR=data python -m benchmarks.encoder_size --quick
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.measurement import Aim, Column, Measurement, make_parser, print_spread, report
from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.images.sets import digest
from ioa.research.lab.controls import find_hits
from ioa.research.lab.parts import Parts
from ioa.research.papers.one_shot_latents.division import divide
from ioa.research.papers.one_shot_latents.plan import Plan
from schemas.models.manifest_fields import TrainingData
from schemas.models.network_manifest import ONNX
from stream.artefacts.encoder_files import MANIFEST
from stream.networks.int8_weights import WeightType

COLUMNS = {
    "bytes": Column("bytes", better="less"),
    "accuracy": Column("accuracy %", "{:.2f}", better="more"),
    "points_lost": Column("points lost", "{:.2f}", better="less"),
    "psnr_db": Column("decoder's PSNR dB", "{:.2f}"),
    "load_ms": Column("ms to check and load", "{:.1f}", better="less"),
    "rate": Column("images/s encoded", better="more"),
}
WEIGHTS: tuple[WeightType, ...] = ("float32", "int8")
AIMS = [
    Aim("int8", "bytes", 1e6, where={"latent": 64}),
    Aim("int8", "points_lost", 0.3),
]
_LOADS = 5


def main() -> None:
    options = read_options()
    measured: list[Measurement] = []
    for latent in options.latents:
        measured += compare(latent, options)
    report(options.out, "encoder_size", measured, COLUMNS, AIMS)
    print_spread(measured, ("accuracy", "points_lost"))


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="default: mnist.npz in the folder IOA_DATA_DIR")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--latents", nargs="+", type=int, default=[64, 784])
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.latents = 1, [64]
    options.epochs = 3 if options.quick else None
    options.data = options.data or Path(os.environ.get("IOA_DATA_DIR", ".")) / "mnist.npz"
    return options


def compare(latent: int, options: argparse.Namespace) -> list[Measurement]:
    """Measure both kinds of weights with the same seeds."""
    condition = {"latent": latent}
    measured = {weights: Measurement("encoder_size", condition, weights) for weights in WEIGHTS}
    for seed in range(options.seeds):
        parts = divide(Plan(str(options.data), latent=latent, dtype="int8"), seed).parts
        for weights, row in measured.items():
            print(f"latent {latent}, seed {seed}, {weights}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                training = TrainingOptions(epochs=options.epochs, weights=weights)
                row.runs.append(run(Path(folder) / "encoder", parts, latent, training, seed))
        best = measured["float32"].runs[-1]["accuracy"]
        for row in measured.values():
            row.runs[-1] = {**row.runs[-1], "points_lost": best - row.runs[-1]["accuracy"]}
    return list(measured.values())


def run(
    directory: Path, parts: Parts, latent: int, training: TrainingOptions, seed: int
) -> Mapping[str, float]:
    """Train an encoder, encode with it, train a classifier on the latents, and test it."""
    public = parts.public.images
    height, width = public.shape[2:]
    config = AutoencoderConfig(height, width, latent)
    generator = torch.Generator().manual_seed(seed)
    trained = train(public, config, training, generator)
    write_encoder(directory, trained, TrainingData("mnist", digest(public), len(public), "public"))
    encoder, load_seconds = load(directory)
    encoder.encode(public[:64])
    started = time.perf_counter()
    encoder.encode(public)
    seconds = time.perf_counter() - started
    return {
        "bytes": sum((directory / name).stat().st_size for name in (MANIFEST, ONNX)),
        "accuracy": measure_accuracy(encoder, parts, seed),
        "psnr_db": trained.fitted.scores["psnr_db"],
        "load_ms": load_seconds * 1000,
        "rate": len(public) / seconds,
    }


def load(directory: Path) -> tuple[Encoder, float]:
    """Return the encoder, and the shortest seconds in which it was checked and loaded."""
    times = []
    for _ in range(_LOADS):
        started = time.perf_counter()
        encoder = Encoder.load(directory)
        times.append(time.perf_counter() - started)
    return encoder, min(times)


def measure_accuracy(encoder: Encoder, parts: Parts, seed: int) -> float:
    """Return the percentage of unseen images that the server's classifier recognises."""
    learned = [released_latents(encoder, client.images) for client in parts.clients]
    labels = [label for client in parts.clients for label in client.labels]
    asked = released_latents(encoder, parts.unseen.images)
    hits = find_hits((np.concatenate(learned), labels), (asked, parts.unseen.labels), seed)
    return 100 * float(hits.mean())


if __name__ == "__main__":
    main()
