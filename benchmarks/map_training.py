"""Trains the head ``conv`` on 5,000 maps, and the same network in plain torch.

The maps are 16x7x7 numbers that an untrained edge makes of MNIST, or smaller ones of scikit-learn's
digits. Both train the same layers on one thread, with the same batches, epochs, AdamW and one cycle
of the learning rate; plain torch has the maps standardised, as one float32 tensor. Ours is given
them as the client sent them, as int8 codes that it unpacks batch by batch, and once as float32.

All run in turn, and a ratio compares one turn, by processor time.

Example: IOA_DATA_DIR=data python -m benchmarks.map_training --quick
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.training_latents import Images, Targets, read_pool
from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.fitting import run
from schemas.models.network_manifest import Output
from server_classifier.heads.convolution import ConvolutionNetwork
from server_classifier.heads.latent_classifier import LatentClassifier
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.values import Values
from stream.networks.packed_values import PackedValues
from stream.networks.packing import pack
from stream.threads import one_thread

OURS = "fit, maps as int8 codes"
COLUMNS = {
    "seconds": Column("processor seconds", "{:.2f}", better="less"),
    "accuracy": Column("accuracy in %", "{:.2f}", better="more"),
    "of_plain": Column("of plain torch", "{:.2f} x", better="less"),
}
AIMS = (Aim(OURS, "of_plain", 1.1),)

SHORT = {"epochs": 1, "min_steps": 1}

Result = tuple[float, float]
"""Processor seconds, accuracy in %."""


@dataclass(frozen=True)
class Examples:
    """Maps [N, C, H, W] to train on, packed and not, and maps to test on."""

    packed: PackedValues
    values: Images
    targets: Targets
    asked: Images
    truth: Targets


def main() -> None:
    options = read_options()
    examples, name = make_examples(options.maps)
    condition = {"data": name, "maps": len(examples.targets)}
    settings = TrainingSettings(epochs=1, min_steps=1) if options.quick else TrainingSettings()
    resolved = settings.resolve(maps=True)
    subjects: dict[str, Callable[[int], Result]] = {
        OURS: lambda seed: run_ours(examples.packed, examples, seed, resolved),
        "fit, maps as float32": lambda seed: run_ours(examples.values, examples, seed, resolved),
        "plain torch": lambda seed: run_plain(examples, seed, resolved),
    }
    measured = [Measurement("map_training", condition, subject) for subject in subjects]
    with one_thread(torch):
        run_ours(examples.values, examples, 0, settings.model_copy(update=SHORT))  # warm up torch
        for seed in range(options.runs):
            results = [subject(seed) for subject in subjects.values()]
            for row, (seconds, accuracy) in zip(measured, results, strict=True):
                ratio = seconds / results[-1][0]
                row.runs.append({"seconds": seconds, "accuracy": accuracy, "of_plain": ratio})
    report(options.out, "map_training", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--maps", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.runs = 1
    return options


def make_examples(count: int) -> tuple[Examples, str]:
    pool = read_pool(os.environ.get("IOA_DATA_DIR"))
    edge = ConvolutionConfig(1, *pool.images.shape[2:]).build()
    draw_weights(edge, torch.Generator().manual_seed(0))
    with torch.no_grad():
        edge(torch.from_numpy(pool.public[:1_000]))  # for the statistics of its normalisation
    edge.eval()
    values, asked = (
        run(edge, torch.from_numpy(images)).numpy() for images in (pool.images, pool.held_out)
    )
    values, targets = np.resize(values, (count, *values.shape[1:])), np.resize(pool.targets, count)
    output = Output(values.shape[1:], 0.0, float(values.max()), ("float32", "int8"))
    vectors = pack(values, "int8", output)
    packed = PackedValues(["int8"] * count, [vector.data for vector in vectors], output)
    return Examples(packed, packed[:], targets, asked, pool.held_out_targets), pool.name


def run_ours(values: Values, examples: Examples, seed: int, settings: TrainingSettings) -> Result:
    start = time.process_time()
    classifier = LatentClassifier(settings, seed).fit(values, examples.targets)
    seconds = time.process_time() - start
    return seconds, 100 * classifier.score(examples.asked, examples.truth)


def run_plain(examples: Examples, seed: int, settings: TrainingSettings) -> Result:
    start = time.process_time()
    torch.manual_seed(seed)
    values, truth = torch.from_numpy(examples.values), torch.from_numpy(examples.targets)
    mean = values.mean(dim=(0, 2, 3), keepdim=True)
    scale = values.std(dim=(0, 2, 3), keepdim=True)
    shape = tuple(values.shape[1:])
    network = ConvolutionNetwork(shape, int(truth.max()) + 1, settings.dropout).layers[1:]
    train_plain(network, (values - mean) / scale, truth, settings)
    seconds = time.process_time() - start
    with torch.no_grad():
        asked = (torch.from_numpy(examples.asked) - mean) / scale
        chosen = network.eval()(asked).argmax(dim=1).numpy()
    return seconds, 100 * float((chosen == examples.truth).mean())


def train_plain(
    network: nn.Module, values: Tensor, truth: Tensor, settings: TrainingSettings
) -> None:
    """Train as a tutorial does, with the schedule of our settings."""
    rows = len(values)
    epochs, batches = settings.epochs_for(rows), settings.steps_for(rows)
    adam = AdamW(network.parameters(), weight_decay=settings.weight_decay)
    schedule = OneCycleLR(adam, settings.learning_rate, total_steps=epochs * batches)
    size = math.ceil(rows / batches)
    for _ in range(epochs):
        for batch in torch.randperm(rows).split(size):
            adam.zero_grad()
            cross_entropy(network(values[batch]), truth[batch]).backward()
            adam.step()
            schedule.step()


if __name__ == "__main__":
    main()
