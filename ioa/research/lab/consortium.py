"""The steps from images to answers, each done by the commands that a hospital or operator types."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ioa.research.lab.counts import Report, list_predictions, total
from ioa.research.lab.deployment import Deployment
from ioa.research.lab.parts import name_clients
from ioa.research.lab.story import Story

_CLASSIFIER_TIMEOUT = 1200.0

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class EncoderTraining:
    """An encoder to train.

    Attributes:
        out: the directory to write.
        part: the images, a file of ``write_parts``.
        name: of the images, in the manifest.
        latent: numbers per image; None for what suits the objective.
        public: whether anybody may see the images.
        weights: how they are stored, int8 or float32.
        epochs: passes over the images; None for as many as improve the encoder.
        objective: what it is trained for.
    """

    out: str
    part: str
    name: str
    latent: int | None
    seed: int
    public: bool
    weights: str = "int8"
    epochs: int | None = None
    objective: str = "reconstruction"


@dataclass(frozen=True)
class Consortium:
    """Some clients and a server; each step runs its processes side by side and tells its end.

    The parts of the images lie in ``directory``, and so do the encoders.
    """

    directory: Path
    deployment: Deployment
    story: Story
    clients: int = 5

    @property
    def client_ids(self) -> list[str]:
        """The ids of all clients."""
        return name_clients(self.clients)

    def start_training(self, training: EncoderTraining) -> Process:
        """Start ``ioa encoder train``; a deployment is not needed yet."""
        command = ["encoder", "train", "--data", self._file(training.part)]
        command += ["--out", str(self.directory / training.out), "--name", training.name]
        command += ["--objective", training.objective, "--seed", str(training.seed)]
        command += ["--weights", training.weights]
        command += ["--public" if training.public else "--private"]
        if training.latent is not None:
            command += ["--latent", str(training.latent)]
        if training.epochs is not None:
            command += ["--epochs", str(training.epochs)]
        return self.deployment.start(training.out, [*command, "--json"])

    def await_encoders(self, processes: dict[str, Process]) -> list[str]:
        """Wait for trained encoders, register them and all clients; return the encoder ids."""
        with self.story.wait("training the encoder"):
            reports = [self.deployment.finish(out, process) for out, process in processes.items()]
        encoder_ids = self.register(list(processes))
        for encoder_id, report in zip(encoder_ids, reports, strict=True):
            self.story.tell(f"encoder {encoder_id[:12]} trained, {_describe_scores(report)}")
        return encoder_ids

    def register(self, encoders: Sequence[str]) -> list[str]:
        """Register encoders, by directory, and all clients; return the encoder ids."""
        directories = [self.directory / encoder for encoder in encoders]
        return self.deployment.register(directories, self.client_ids)

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
        """Wait until every encoder has a classifier of all stored latents; return the versions.

        Args:
            encoder_ids: the encoder of each client.
        """
        stored = self.deployment.count_stored_by_client()
        rows: dict[str, int] = {}
        for client, encoder_id in zip(self.client_ids, encoder_ids, strict=True):
            rows[encoder_id] = rows.get(encoder_id, 0) + stored.get(client, 0)
        with self.story.wait("training the classifier"):
            versions = self.deployment.await_classifiers(rows, _CLASSIFIER_TIMEOUT)
        self.story.tell(
            f"classifier {', '.join(versions)} trained on {sum(stored.values())} latents"
        )
        return versions

    def ask(
        self, encoders: Sequence[str], options: Callable[[int], Sequence[str]] = lambda _: ()
    ) -> list[Report]:
        """Let every client ask about its unseen images; return what each prints.

        Args:
            encoders: the directory of each client's encoder.
            options: further options of ``ioa client ask`` for client 1, 2 ...
        """
        processes = [
            self._start_client("ask", number, encoder, f"unseen-{number}", *options(number))
            for number, encoder in enumerate(encoders, start=1)
        ]
        with self.story.wait("asking about unseen images"):
            reports = self._finish_clients(processes)
        self.story.tell(
            f"the clients asked about {total(reports, 'sent')} unseen images, "
            f"{len(list_predictions(reports))} answers"
        )
        return reports

    def _start_client(
        self, verb: str, number: int, encoder: str, part: str, *options: str
    ) -> Process:
        client = self.client_ids[number - 1]
        command = ["client", verb, "--client-id", client]
        command += ["--encoder", str(self.directory / encoder), "--data", self._file(part)]
        return self.deployment.start(client, [*command, *options, "--json"])

    def _finish_clients(self, processes: list[Process]) -> list[Report]:
        named = zip(self.client_ids, processes, strict=True)
        return [self.deployment.finish(client, process) for client, process in named]

    def _file(self, part: str) -> str:
        return str(self.directory / f"{part}.npz")


def _describe_scores(report: Report) -> str:
    """Say how an encoder does on held-out images, by what it was trained for."""
    if "psnr_db" in report:
        return (
            f"reconstructs held-out images at {report['psnr_db']:.1f} dB, "
            f"skill {report['skill']:.0%}"
        )
    return f"names {report['accuracy']:.1%} of held-out images at home"
