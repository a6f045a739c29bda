"""The story of the demo, from images to answers; each step reports itself as it happens."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ioa.demo.deployment import Deployment
from ioa.demo.parts import CLIENTS, DemoImages, divide_images, write_npz
from ioa.demo.picture import draw_pair
from ioa.demo.report import DemoReport, summarise_latencies
from ioa.settings import Settings

LATENT_DIM = 16
_MODEL_TIMEOUT = 120.0


class Story:
    """Prints each step when it is done, with the seconds it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = time.monotonic()

    def tell(self, text: str) -> None:
        """Print a line with the time since the start."""
        elapsed = time.monotonic() - self.started
        self.console.print(f"[dim]{elapsed:5.1f} s[/]  {text}", highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Any]:
        """Yield a function that takes how much is done; a bar is drawn on a terminal only."""
        columns = (TextColumn("         {task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns,
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)


def run_demo(
    directory: Path, settings: Settings, data: str, seed: int, picture: Path, story: Story
) -> DemoReport:
    """Run the whole demo under ``directory``.

    Raises:
        ClientError: the images cannot be used.
        StreamError: the broker does not start.
        DemoError: a process failed.
    """
    images = divide_images(data, np.random.default_rng(seed), settings.client.max_skip)
    _write_parts(directory, images)
    story.tell(
        f"{images.name}: {len(images.public)} public images for the encoder, {CLIENTS} clients "
        f"with {len(images.clients[0])} each, {len(images.unseen)} nobody has seen"
    )
    expected = sum(map(len, images.clients))
    settings.server.train_min_new_rows = expected
    with Deployment(directory, settings, story.tell) as deployment:
        training = deployment.start("encoder", _train_command(directory, images, seed))
        deployment.start_server()
        story.tell(f"Apache Kafka answers at {settings.kafka.bootstrap_servers}; server started")
        trained = deployment.finish("encoder", training)
        clients = [f"client-{number}" for number in range(1, CLIENTS + 1)]
        encoder_id = deployment.register(directory / "encoder", clients)
        story.tell(
            f"encoder {encoder_id[:12]} trained: {LATENT_DIM} numbers an image, reconstructs held-"
            f"out images at {trained['psnr_db']:.1f} dB, skill {trained['skill']:.0%}"
        )
        learned = _publish(deployment, directory, clients, expected, story)
        version = deployment.await_model(deployment.count_stored(), _MODEL_TIMEOUT)
        story.tell(f"classifier {version} trained on {deployment.count_stored()} latents")
        answered = _ask(deployment, directory, clients, len(images.unseen), story)
        stored = deployment.count_stored()
    return _conclude(directory, images, story, seed, picture, encoder_id, learned, answered, stored)


def _write_parts(directory: Path, images: DemoImages) -> None:
    write_npz(directory / "public.npz", images.public)
    shares = np.array_split(np.arange(len(images.unseen)), CLIENTS)
    for number, (own, share) in enumerate(zip(images.clients, shares, strict=True), start=1):
        write_npz(directory / f"client-{number}.npz", own)
        write_npz(directory / f"unseen-{number}.npz", images.unseen.select(share))


def _train_command(directory: Path, images: DemoImages, seed: int) -> list[str]:
    return [
        *("encoder", "train", "--data", str(directory / "public.npz")),
        *("--name", images.name, "--latent", str(LATENT_DIM), "--seed", str(seed), "--public"),
        *("--out", str(directory / "encoder"), "--json"),
    ]


def _publish(
    deployment: Deployment, directory: Path, clients: list[str], expected: int, story: Story
) -> list[dict[str, Any]]:
    processes = {
        client: deployment.start(
            client, _client_command("publish", directory, client, f"{client}.npz")
        )
        for client in clients
    }
    with story.bar("stored", expected) as show:
        while any(process.poll() is None for process in processes.values()):
            show(deployment.count_stored())
            time.sleep(0.1)
    reports = [deployment.finish(client, process) for client, process in processes.items()]
    story.tell(
        f"{len(clients)} client processes sent {_total(reports, 'sent')} latents, "
        f"{_total(reports, 'acknowledged')} acknowledged"
    )
    return reports


def _ask(
    deployment: Deployment, directory: Path, clients: list[str], expected: int, story: Story
) -> list[dict[str, Any]]:
    processes = {
        client: deployment.start(
            client,
            [
                *_client_command("ask", directory, client, f"unseen-{client[-1]}.npz"),
                *("--in-flight", "1"),
            ],
        )
        for client in clients
    }
    reports = [deployment.finish(client, process) for client, process in processes.items()]
    replies = sum(len(report["predictions"]) for report in reports)
    story.tell(f"the clients asked about {expected} unseen images, {replies} replies")
    return reports


def _client_command(verb: str, directory: Path, client: str, file: str) -> list[str]:
    return [
        *("client", verb, "--client-id", client, "--encoder", str(directory / "encoder")),
        *("--data", str(directory / file), "--json"),
    ]


def _conclude(
    directory: Path,
    images: DemoImages,
    story: Story,
    seed: int,
    picture: Path,
    encoder_id: str,
    learned: list[dict[str, Any]],
    answered: list[dict[str, Any]],
    stored: int,
) -> DemoReport:
    # These import torch, which nothing before this line needs in this process.
    from client_autoencoder.encoder import Encoder
    from ioa.demo.controls import measure_controls
    from ioa.demo.exposure import measure_exposure

    encoder = Encoder.load(directory / "encoder")
    controls = measure_controls(images, encoder, seed)
    exposure = measure_exposure(images, encoder, directory / "encoder", seed, picture)
    story.tell("controls and attack measured")
    story.console.print(draw_pair(exposure.original, exposure.restored), highlight=False)
    predictions = [one for report in answered for one in report["predictions"]]
    sent = _total(learned, "sent")
    p50, p99 = summarise_latencies([one["seconds"] for one in predictions] or [float("nan")])
    versions = {one["model_version"] for one in predictions} - {None}
    return DemoReport(
        sent=sent,
        acknowledged=_total(learned, "acknowledged"),
        stored=stored,
        requests=_total(answered, "sent"),
        replies=sum(one["error"] is None for one in predictions),
        accuracy=_accuracy(predictions),
        accuracy_per_class=_accuracy_per_class(predictions),
        accuracy_one_client=controls["one_client"],
        accuracy_pixels=controls["pixels"],
        latency_ms_p50=p50,
        latency_ms_p99=p99,
        latent_bytes=_total(learned, "value_bytes") // max(sent, 1),
        message_bytes=_total(learned, "message_bytes") // max(sent, 1),
        image_bytes=int(np.prod(images.unseen.images.shape[1:])),
        attack_psnr_db=exposure.attack.psnr_db,
        attack_ssim=exposure.attack.ssim,
        floor_psnr_db=exposure.floor.psnr_db,
        encoder_id=encoder_id,
        model_version=", ".join(sorted(versions)),
        data=images.name,
        skipped=len(images.skipped),
        seconds=time.monotonic() - story.started,
        picture=str(picture.resolve()),
    )


def _total(reports: list[dict[str, Any]], name: str) -> int:
    return sum(int(report[name]) for report in reports)


def _accuracy(predictions: list[dict[str, Any]]) -> float:
    return float(np.mean([one["label"] == one["true_label"] for one in predictions] or [0.0]))


def _accuracy_per_class(predictions: list[dict[str, Any]]) -> dict[str, float]:
    by_class = defaultdict(list)
    for one in predictions:
        by_class[str(one["true_label"])].append(one)
    return {label: _accuracy(by_class[label]) for label in sorted(by_class)}
