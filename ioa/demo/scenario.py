"""The story of the demo, from images to answers; each step reports itself as it happens."""

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ioa.demo.deployment import Deployment
from ioa.demo.parts import CLIENTS, DemoImages, divide_images, write_parts
from ioa.demo.picture import draw_pair
from ioa.demo.report import DemoReport, summarise_latencies
from ioa.progress import show_progress
from ioa.settings import Settings

LATENT_DIM = 16
_MODEL_TIMEOUT = 120.0
_CLIENT_IDS = [f"client-{number}" for number in range(1, CLIENTS + 1)]

Report = dict[str, Any]
Process = subprocess.Popen[str]


class Story:
    """Prints each step when it is done, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def tell(self, text: str) -> None:
        """Print a line with the time."""
        self.console.print(
            f"[dim]{self.seconds:5.1f} s[/]  {text}", highlight=False, soft_wrap=True
        )

    @contextmanager
    def wait(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Draw a bar while something runs; yield a function that takes how much is done."""
        indented = f"         {what}"
        with show_progress(indented, console=self.console, transient=True, total=total) as show:
            yield lambda done: show(completed=done)


@dataclass(frozen=True)
class Scenario:
    """What every step needs: where, with which images and seed, and whom to tell."""

    directory: Path
    images: DemoImages
    seed: int
    deployment: Deployment
    story: Story

    def play(self) -> DemoReport:
        """Run all steps; the processes of one step run side by side.

        Raises:
            StreamError: the broker does not start.
            DemoError: a process failed.
        """
        training = self.deployment.start("encoder", self._training_command())
        with self.deployment:
            self.story.tell(f"Apache Kafka answers at {self.deployment.bootstrap_servers}")
            self.deployment.start_server()
            measuring = self._start_measuring()
            encoder_id = self._await_encoder(training)
            learned = self._publish()
            self._await_model()
            answered = self._ask()
            stored = self.deployment.count_stored()
            with self.story.wait("measuring controls and attack"):
                measured = self.deployment.finish("measure", measuring)
            self.story.tell("controls and attack measured")
            return _conclude(self, encoder_id, learned, answered, stored, measured)

    def _training_command(self) -> list[str]:
        return [
            *("encoder", "train", "--data", str(self.directory / "public.npz")),
            *("--name", self.images.name, "--latent", str(LATENT_DIM)),
            *("--seed", str(self.seed), "--public"),
            *("--out", str(self.directory / "encoder"), "--json"),
        ]

    def _start_measuring(self) -> Process:
        arguments = [str(self.directory), str(self.seed), "--json"]
        return self.deployment.start("measure", arguments, module="ioa.demo.measure")

    def _await_encoder(self, training: Process) -> str:
        with self.story.wait("training the encoder"):
            trained = self.deployment.finish("encoder", training)
        encoder_id = self.deployment.register(self.directory / "encoder", _CLIENT_IDS)
        self.story.tell(
            f"encoder {encoder_id[:12]} trained: {LATENT_DIM} numbers an image, reconstructs "
            f"held-out images at {trained['psnr_db']:.1f} dB, skill {trained['skill']:.0%}"
        )
        return encoder_id

    def _publish(self) -> list[Report]:
        processes = self._start_clients("publish", "{client}.npz")
        with self.story.wait("latents stored", sum(map(len, self.images.clients))) as show:
            while any(process.poll() is None for process in processes.values()):
                show(self.deployment.count_stored())
                time.sleep(0.1)
        reports = self._finish_clients(processes)
        self.story.tell(
            f"{CLIENTS} client processes sent {_total(reports, 'sent')} latents, "
            f"{_total(reports, 'acknowledged')} acknowledged"
        )
        return reports

    def _await_model(self) -> None:
        stored = self.deployment.count_stored()
        with self.story.wait("training the classifier"):
            version = self.deployment.await_model(stored, _MODEL_TIMEOUT)
        self.story.tell(f"classifier {version} trained on {stored} latents")

    def _ask(self) -> list[Report]:
        processes = self._start_clients("ask", "unseen-{number}.npz", "--in-flight", "1")
        with self.story.wait("asking about unseen images"):
            reports = self._finish_clients(processes)
        self.story.tell(
            f"the clients asked about {len(self.images.unseen)} unseen images, "
            f"{sum(len(report['predictions']) for report in reports)} replies"
        )
        return reports

    def _start_clients(self, verb: str, file: str, *more: str) -> dict[str, Process]:
        processes = {}
        for number, client in enumerate(_CLIENT_IDS, start=1):
            data = self.directory / file.format(client=client, number=number)
            encoder = self.directory / "encoder"
            processes[client] = self.deployment.start(
                client,
                [
                    *("client", verb, "--client-id", client, "--encoder", str(encoder)),
                    *("--data", str(data), *more, "--json"),
                ],
            )
        return processes

    def _finish_clients(self, processes: dict[str, Process]) -> list[Report]:
        return [self.deployment.finish(name, process) for name, process in processes.items()]


def run_demo(directory: Path, settings: Settings, data: str, seed: int, story: Story) -> DemoReport:
    """Run the whole demo under ``directory`` and leave its picture there, ``demo.png``.

    Raises:
        ClientError: the images cannot be used.
        StreamError: the broker does not start.
        DemoError: a process failed.
    """
    images = divide_images(data, np.random.default_rng(seed), settings.client.max_skip)
    write_parts(directory, images)
    story.tell(
        f"{images.name}: {len(images.public)} public images for the encoder, {CLIENTS} clients "
        f"with {len(images.clients[0])} each, {len(images.unseen)} nobody has seen"
    )
    settings.server.train_min_new_rows = sum(map(len, images.clients))
    deployment = Deployment(directory, settings, story.tell)
    return Scenario(directory, images, seed, deployment, story).play()


def _conclude(
    scenario: Scenario,
    encoder_id: str,
    learned: list[Report],
    answered: list[Report],
    stored: int,
    measured: Report,
) -> DemoReport:
    images, story = scenario.images, scenario.story
    predictions = [one for report in answered for one in report["predictions"]]
    sent = _total(learned, "sent")
    p50, p99 = summarise_latencies([one["seconds"] for one in predictions])
    versions = {one["model_version"] for one in predictions if one["error"] is None}
    return DemoReport(
        sent=sent,
        acknowledged=_total(learned, "acknowledged"),
        stored=stored,
        requests=_total(answered, "sent"),
        replies=sum(one["error"] is None for one in predictions),
        accuracy=_accuracy(predictions),
        accuracy_per_class=_accuracy_per_class(predictions),
        accuracy_one_client=measured["one_client"],
        accuracy_pixels=measured["pixels"],
        latency_ms_p50=p50,
        latency_ms_p99=p99,
        latent_bytes=_total(learned, "value_bytes") // max(sent, 1),
        message_bytes=_total(learned, "message_bytes") // max(sent, 1),
        image_bytes=int(np.prod(images.unseen.images.shape[1:])),
        attack_psnr_db=measured["attack"]["psnr_db"],
        attack_ssim=measured["attack"]["ssim"],
        floor_psnr_db=measured["floor"]["psnr_db"],
        restored_example=draw_pair(measured["original"], measured["restored"]),
        encoder_id=encoder_id,
        model_version=", ".join(sorted(versions)),
        data=images.name,
        skipped=len(images.skipped),
        seconds=story.seconds,
    )


def _total(reports: list[Report], name: str) -> int:
    return sum(int(report[name]) for report in reports)


def _accuracy(predictions: list[Report]) -> float:
    return float(np.mean([one["label"] == one["true_label"] for one in predictions] or [0.0]))


def _accuracy_per_class(predictions: list[Report]) -> dict[str, float]:
    by_class = defaultdict(list)
    for one in predictions:
        by_class[str(one["true_label"])].append(one)
    return {label: _accuracy(by_class[label]) for label in sorted(by_class)}
