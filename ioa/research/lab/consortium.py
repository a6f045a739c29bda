"""The steps from images to answers, each done by the commands that a hospital or operator types."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ioa.research.lab.deployment import Deployment
from ioa.research.lab.parts import CLIENT_IDS
from ioa.research.lab.story import Story

_CLASSIFIER_TIMEOUT = 1200.0

Report = dict[str, Any]
Process = subprocess.Popen[str]


@dataclass(frozen=True)
class EncoderTraining:
    """An encoder to train.

    Attributes:
        out: the directory to write.
        part: of the images.
        name: of the images, in the manifest.
        latent: numbers per image.
        public: whether anybody may see the images.
        weights: how the encoder's are stored, int8 or float32.
        epochs: passes over the images; None for as many as do it good.
    """

    out: str
    part: str
    name: str
    latent: int
    seed: int
    public: bool
    weights: str = "int8"
    epochs: int | None = None


@dataclass(frozen=True)
class Consortium:
    """Five clients and a server; each step runs its processes side by side and tells its end.

    The parts of the images lie in ``directory``, and so do the encoders.
    """

    directory: Path
    deployment: Deployment
    story: Story

    def start_training(self, training: EncoderTraining) -> Process:
        """Start ``ioa encoder train``; a deployment is not needed yet."""
        epochs = () if training.epochs is None else ("--epochs", str(training.epochs))
        return self.deployment.start(
            training.out,
            [
                *("encoder", "train", "--data", str(self.directory / f"{training.part}.npz")),
                *("--out", str(self.directory / training.out), "--name", training.name),
                *("--latent", str(training.latent), "--seed", str(training.seed)),
                *("--weights", training.weights),
                *("--public" if training.public else "--private", *epochs, "--json"),
            ],
        )

    def await_encoders(self, processes: dict[str, Process]) -> list[str]:
        """Wait for trained encoders, by directory; register them and all clients.

        Returns the encoder ids.
        """
        with self.story.wait("training the encoder"):
            reports = {out: self.deployment.finish(out, one) for out, one in processes.items()}
        encoder_ids = self.deployment.register(
            [self.directory / out for out in processes], CLIENT_IDS
        )
        for encoder_id, trained in zip(encoder_ids, reports.values(), strict=True):
            self.story.tell(
                f"encoder {encoder_id[:12]} trained, reconstructs held-out images at "
                f"{trained['psnr_db']:.1f} dB, skill {trained['skill']:.0%}"
            )
        return encoder_ids

    def publish(
        self,
        encoders: Sequence[str],
        messages: int,
        options: Callable[[int], Sequence[str]] = lambda _: (),
    ) -> list[Report]:
        """Let every client publish its images.

        Args:
            encoders: the directory of each client's encoder.
            messages: how many there will be, for the progress.
            options: further options of ``ioa client publish`` for client 1, 2 ...
        """
        processes = [
            self._start_client("publish", number, encoder, f"client-{number}", *options(number))
            for number, encoder in enumerate(encoders, start=1)
        ]
        with self.story.wait("latents stored", messages) as show:
            while any(process.poll() is None for process in processes):
                show(self.deployment.count_stored())
                time.sleep(0.2)
        reports = self._finish_clients(processes)
        self.story.tell(
            f"{len(reports)} client processes sent {total(reports, 'sent')} latents, "
            f"{total(reports, 'acknowledged')} acknowledged"
        )
        return reports

    def await_classifiers(self, encoder_ids: Sequence[str]) -> list[str]:
        """Wait until every encoder has a classifier of all that was stored; return the versions.

        Args:
            encoder_ids: the encoder of each client.
        """
        stored = self.deployment.count_stored_by_client()
        rows: dict[str, int] = {}
        for client, encoder_id in zip(CLIENT_IDS, encoder_ids, strict=True):
            rows[encoder_id] = rows.get(encoder_id, 0) + stored.get(client, 0)
        with self.story.wait("training the classifier"):
            versions = self.deployment.await_classifiers(rows, _CLASSIFIER_TIMEOUT)
        self.story.tell(
            f"classifier {', '.join(versions)} trained on {sum(stored.values())} latents"
        )
        return versions

    def ask(self, encoders: Sequence[str], *options: str) -> list[Report]:
        """Let every client ask about its share of the unseen images."""
        processes = [
            self._start_client("ask", number, encoder, f"unseen-{number}", *options)
            for number, encoder in enumerate(encoders, start=1)
        ]
        with self.story.wait("asking about unseen images"):
            reports = self._finish_clients(processes)
        self.story.tell(
            f"the clients asked about {total(reports, 'sent')} unseen images, "
            f"{sum(len(report['predictions']) for report in reports)} replies"
        )
        return reports

    def _start_client(
        self, verb: str, number: int, encoder: str, part: str, *options: str
    ) -> Process:
        client = CLIENT_IDS[number - 1]
        return self.deployment.start(
            client,
            [
                *("client", verb, "--client-id", client),
                *("--encoder", str(self.directory / encoder)),
                *("--data", str(self.directory / f"{part}.npz"), *options, "--json"),
            ],
        )

    def _finish_clients(self, processes: list[Process]) -> list[Report]:
        return [
            self.deployment.finish(client, process)
            for client, process in zip(CLIENT_IDS, processes, strict=True)
        ]


def total(reports: list[Report], name: str) -> int:
    """Return the sum of a count over the clients' reports."""
    return sum(int(report[name]) for report in reports)
