"""The story of the demo, from images to answers; each step reports itself as it happens."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ioa.demo.division import divide_images
from ioa.demo.picture import draw_pair
from ioa.demo.report import DemoReport, summarise_latencies
from ioa.research.lab.consortium import Consortium, EncoderTraining, Process, Report, total
from ioa.research.lab.deployment import Deployment
from ioa.research.lab.parts import CLIENTS, Parts, write_parts
from ioa.research.lab.story import Story
from ioa.settings import Settings

LATENT_DIM = 16
_ENCODER = "encoder"


@dataclass(frozen=True)
class Scenario:
    """The demo's images and seed, and the consortium that works on them."""

    images: Parts
    seed: int
    consortium: Consortium

    def play(self) -> DemoReport:
        """Run all steps; the processes of one step run side by side.

        Raises:
            StreamError: the broker does not start.
            ProcessFailed: a process failed.
        """
        consortium, encoders = self.consortium, [_ENCODER] * CLIENTS
        deployment, story = consortium.deployment, consortium.story
        training = self._start_training()
        with deployment:
            story.tell(f"Apache Kafka answers at {deployment.bootstrap_servers}")
            deployment.start_server()
            measuring = self._start_measuring()
            (encoder_id,) = consortium.await_encoders({_ENCODER: training})
            learned = consortium.publish(encoders, sum(map(len, self.images.clients)))
            consortium.await_classifiers([encoder_id] * CLIENTS)
            answered = consortium.ask(encoders, "--in-flight", "1")
            stored = deployment.count_stored()
            with story.wait("measuring controls and attack"):
                measured = deployment.finish("measure", measuring)
            story.tell("controls and attack measured")
            return _conclude(self, encoder_id, learned, answered, stored, measured)

    def _start_training(self) -> Process:
        return self.consortium.start_training(
            EncoderTraining(_ENCODER, "public", self.images.name, LATENT_DIM, self.seed, True)
        )

    def _start_measuring(self) -> Process:
        arguments = [str(self.consortium.directory), str(self.seed), "--json"]
        return self.consortium.deployment.start("measure", arguments, module="ioa.demo.measure")


def run_demo(directory: Path, settings: Settings, data: str, seed: int, story: Story) -> DemoReport:
    """Run the whole demo under ``directory`` and leave its picture there, ``demo.png``.

    Raises:
        ClientError: the images cannot be used.
        StreamError: the broker does not start.
        ProcessFailed: a process failed.
    """
    images = divide_images(data, np.random.default_rng(seed), settings.client.max_skip)
    write_parts(directory, images)
    story.tell(
        f"{images.name}: {len(images.public)} public images for the encoder, {CLIENTS} clients "
        f"with {len(images.clients[0])} each, {len(images.unseen)} nobody has seen"
    )
    settings.server.train_min_new_rows = sum(map(len, images.clients))
    deployment = Deployment(directory, settings, story.tell)
    return Scenario(images, seed, Consortium(directory, deployment, story)).play()


def _conclude(
    scenario: Scenario,
    encoder_id: str,
    learned: list[Report],
    answered: list[Report],
    stored: int,
    measured: Report,
) -> DemoReport:
    images, story = scenario.images, scenario.consortium.story
    predictions = [one for report in answered for one in report["predictions"]]
    sent = total(learned, "sent")
    p50, p99 = summarise_latencies([one["seconds"] for one in predictions])
    versions = {one["model_version"] for one in predictions if one["error"] is None}
    return DemoReport(
        sent=sent,
        acknowledged=total(learned, "acknowledged"),
        stored=stored,
        requests=total(answered, "sent"),
        replies=sum(one["error"] is None for one in predictions),
        accuracy=_accuracy(predictions),
        accuracy_per_class=_accuracy_per_class(predictions),
        accuracy_one_client=measured["one_client"],
        accuracy_pixels=measured["pixels"],
        latency_ms_p50=p50,
        latency_ms_p99=p99,
        latent_bytes=total(learned, "value_bytes") // max(sent, 1),
        message_bytes=total(learned, "message_bytes") // max(sent, 1),
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


def _accuracy(predictions: list[Report]) -> float:
    return float(np.mean([one["label"] == one["true_label"] for one in predictions] or [0.0]))


def _accuracy_per_class(predictions: list[Report]) -> dict[str, float]:
    by_class = defaultdict(list)
    for one in predictions:
        by_class[str(one["true_label"])].append(one)
    return {label: _accuracy(by_class[label]) for label in sorted(by_class)}
