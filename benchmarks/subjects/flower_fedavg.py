"""Federated averaging by Flower's simulation: a server, five clients on Ray, PyTorch in each.

Run by ``benchmarks/federated.py`` in Flower's own environment. It trains on the files
``client-N.npz`` of a folder, tests on ``test.npz`` there, and prints one line of JSON. Bytes are
those of Flower's messages as it serialises them (protobuf), without what its streams and object
store add.
"""

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_to_proto
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

CLIENTS = 5
# The best settings that were tried. With momentum 0.9, two classes each stay below 65 %, and a
# random division is no better.
_BATCH = 10
_LEARNING_RATE = 0.1


def main() -> None:
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    strategy, model = CountingFedAvg(), make_cnn(options.seed)
    server = make_server(strategy, model, options.rounds)
    client = make_client(options.folder, options.epochs, options.seed)
    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(server, client, num_supernodes=CLIENTS, backend_config=resources)
    images, targets = read(options.folder / "test.npz")
    print(
        json.dumps(
            {
                "accuracy": measure_accuracy(model, images, targets),
                "bytes_up": strategy.bytes_up,
                "bytes_down": strategy.bytes_down,
                "parameters": sum(weights.numel() for weights in model.parameters()),
            }
        )
    )


class CountingFedAvg(FedAvg):
    """Flower's own strategy, which also adds up the bytes of all messages."""

    def __init__(self) -> None:
        super().__init__(
            fraction_evaluate=0.0, min_train_nodes=CLIENTS, min_available_nodes=CLIENTS
        )
        self.bytes_up = 0
        self.bytes_down = 0

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        messages = list(super().configure_train(server_round, arrays, config, grid))
        self.bytes_down += sum(map(measure, messages))
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        replies = list(replies)
        failed = [reply.error.reason for reply in replies if reply.has_error()]
        assert not failed, failed
        assert len(replies) == CLIENTS, f"{len(replies)} answers"
        self.bytes_up += sum(map(measure, replies))
        return super().aggregate_train(server_round, replies)


def measure(message: Message) -> int:
    """Return the bytes of a message."""
    return message_to_proto(message).ByteSize()


def make_server(strategy: FedAvg, model: nn.Module, rounds: int) -> ServerApp:
    """Return a server that leaves the averaged weights in ``model``."""
    app = ServerApp()

    @app.main()
    def serve(grid: Grid, _: Context) -> None:
        arrays = ArrayRecord(model.state_dict())
        result = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=rounds)
        model.load_state_dict(result.arrays.to_torch_state_dict())

    return app


def make_client(folder: Path, epochs: int, seed: int) -> ClientApp:
    """Return a client that trains on the file with its own number."""
    app = ClientApp()

    @app.train()
    def learn(message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        torch.set_num_threads(1)
        images, targets = read(folder / f"client-{number + 1}.npz")
        model = make_cnn(seed)
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        turn = int(message.content["config"]["server-round"])
        order = torch.Generator().manual_seed(hash((seed, number, turn)) % 2**31)
        train_locally(model, images, targets, epochs, order)
        content = RecordDict(
            {
                "arrays": ArrayRecord(model.state_dict()),
                "metrics": MetricRecord({"num-examples": len(images)}),
            }
        )
        return Message(content=content, reply_to=message)

    return app


def train_locally(
    model: nn.Module, images: Tensor, targets: Tensor, epochs: int, order: torch.Generator
) -> None:
    """Train in place by stochastic gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), _LEARNING_RATE)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=order).split(_BATCH):
            optimizer.zero_grad()
            cross_entropy(model(images[batch]), targets[batch]).backward()
            optimizer.step()


def measure_accuracy(model: nn.Module, images: Tensor, targets: Tensor) -> float:
    """Return the share of images that are classified correctly."""
    model.eval()
    with torch.no_grad():
        hits = [
            (model(batch).argmax(dim=1) == truth).sum().item()
            for batch, truth in zip(images.split(1000), targets.split(1000), strict=True)
        ]
    return sum(hits) / len(images)


def make_cnn(seed: int) -> nn.Module:
    """Return a network of 113,674 parameters for images [N, 1, 28, 28]."""
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 192), nn.ReLU(), nn.Linear(192, 10)),
    )


def read(file: Path) -> tuple[Tensor, Tensor]:
    """Return images [N, 1, 28, 28] in 0..1 and their classes [N]."""
    with np.load(file) as arrays:
        images = torch.from_numpy(arrays["images"]).float().div(255)
        return images[:, None], torch.from_numpy(arrays["targets"])


if __name__ == "__main__":
    main()
