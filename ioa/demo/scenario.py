"""The course of the demo, from images to answers; each step is told as it happens."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ioa.demo.division import CLIENTS, divide_images
from ioa.demo.report import DemoReport, draw_pair
from ioa.research.lab.consortium import Consortium, EncoderTraining
from ioa.research.lab.counts import Report, count_sent, list_predictions, total
from ioa.research.lab.deployment import Deployment
from ioa.research.lab.parts import write_parts
from ioa.research.lab.story import Story
from ioa.settings import Settings

LATENT_DIM = 16
_ENCODER = "encoder"


def run_demo(directory: Path, settings: Settings, data: str, seed: int, story: Story) -> DemoReport:
    """Run the demo in ``directory`` and leave its picture there, ``demo.png``.

    Raises:
        ClientError: the images cannot be used.
        StreamError: the broker does not start.
        ProcessFailed: a process failed.
    """
    images = divide_images(data, np.random.default_rng(seed), settings.client.max_skip)
    write_parts(directory, images)
    count = sum(map(len, images.clients))
    story.tell(
        f"{images.name}: {len(images.public)} public images for the encoder, {CLIENTS} clients "
        f"with {len(images.clients[0])} each, {len(images.unseen)} nobody has seen"
    )
    settings.server.train_min_new_rows = count
    deployment = Deployment(directory, settings, story.tell)
    figures = _run(Consortium(directory, deployment, story, CLIENTS), images.name, count, seed)
    return DemoReport(
        **figures,
        image_bytes=int(np.prod(images.unseen.images.shape[1:])),
        data=images.name,
        skipped=len(images.skipped),
    )


def _run(consortium: Consortium, name: str, count: int, seed: int) -> dict[str, Any]:
    """Run all steps on the images ``name``, of which clients have ``count``; return the figures."""
    deployment, story = consortium.deployment, consortium.story
    training = EncoderTraining(_ENCODER, "public", name, LATENT_DIM, seed, public=True)
    encoders = [_ENCODER] * CLIENTS
    processes = {_ENCODER: consortium.start_training(training)}
    with deployment:
        story.tell(f"Apache Kafka answers at {deployment.settings.kafka.bootstrap_servers}")
        deployment.start_server()
        arguments = [str(consortium.directory), str(seed), "--json"]
        measuring = deployment.start("measure", arguments, module="ioa.demo.measure")
        (encoder_id,) = consortium.await_encoders(processes)
        published = consortium.publish(encoders, count)
        consortium.await_classifiers([encoder_id] * CLIENTS)
        asked = consortium.ask(encoders, lambda _: ("--in-flight", "1"))
        stored = deployment.count_stored()
        with story.wait("measuring controls and attack"):
            measured = deployment.finish("measure", measuring)
        story.tell("controls and attack measured")
        seconds = story.seconds
    return {
        **count_sent(published, stored),
        "requests": total(asked, "sent"),
        **_summarise_predictions(list_predictions(asked)),
        "accuracy_one_client": measured["one_client"],
        "accuracy_pixels": measured["pixels"],
        "attack_psnr_db": measured["attack"]["psnr_db"],
        "attack_ssim": measured["attack"]["ssim"],
        "floor_psnr_db": measured["floor"]["psnr_db"],
        "restored_example": draw_pair(measured["original"], measured["restored"]),
        "encoder_id": encoder_id,
        "seconds": seconds,
    }


def _summarise_predictions(predictions: list[Report]) -> dict[str, Any]:
    by_class = defaultdict(list)
    for prediction in predictions:
        by_class[str(prediction["true_label"])].append(prediction)
    answered = [prediction for prediction in predictions if prediction["error"] is None]
    latencies = [1000 * prediction["seconds"] for prediction in predictions] or [float("nan")]
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    return {
        "replies": len(answered),
        "accuracy": _accuracy(predictions),
        "accuracy_per_class": {label: _accuracy(by_class[label]) for label in sorted(by_class)},
        "latency_ms_p50": p50,
        "latency_ms_p99": p99,
        "model_version": ", ".join(sorted({reply["model_version"] for reply in answered})),
    }


def _accuracy(predictions: list[Report]) -> float:
    hits = [prediction["label"] == prediction["true_label"] for prediction in predictions]
    return float(np.mean(hits or [0.0]))
