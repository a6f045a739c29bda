"""One seed of the experiment: services and controls side by side, then its tables."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import Pixels
from ioa.research.lab.consortium import Consortium
from ioa.research.lab.controls import reconstruct
from ioa.research.lab.deployment import Deployment, local_settings
from ioa.research.lab.parts import Parts, join, read_part, read_parts, write_parts
from ioa.research.lab.replayed import copy_encoders, replay_messages
from ioa.research.lab.seeds import SeedResult
from ioa.research.lab.story import Story
from ioa.research.papers.one_shot_latents import services
from ioa.research.papers.one_shot_latents.division import Division, divide
from ioa.research.papers.one_shot_latents.figure import Samples
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.papers.one_shot_latents.tables import (
    tabulate_classification,
    tabulate_controls,
    tabulate_reconstruction,
)
from ioa.research.reporting.results import Figures
from ioa.settings import Settings
from server_classifier.heads.settings import TrainingSettings

_NEVER = 1e9  # seconds: the classifier is trained once, on everything


@dataclass(frozen=True)
class Measured(SeedResult):
    """The result of one seed, with the pictures of figure 3 or 4."""

    samples: Samples


def run_seed(
    plan: Plan,
    seed: int,
    directory: Path,
    training: TrainingSettings,
    story: Story,
    *,
    kept: Path | None = None,
) -> Measured:
    """Run one seed in ``directory``; raises what ``run_experiment`` raises.

    Args:
        kept: the directory of the same seed in an earlier run: its encoders are used and its
            messages replayed, instead of new ones.
    """
    started = time.monotonic()
    division = prepare(plan, seed, directory)
    parts = division.parts
    deployment = Deployment(directory, _make_settings(plan, seed, directory, parts, training))
    consortium = Consortium(directory, deployment, story, plan.clients)
    trainings = services.encoder_trainings(plan, seed)
    names = [encoder.out for encoder in trainings]
    if kept is None:
        encoders = {encoder.out: consortium.start_training(encoder) for encoder in trainings}
    else:
        copy_encoders(kept, directory, names)
    extra = services.extra_trainings(plan, seed)
    with deployment:
        own = {encoder.out: consortium.start_training(encoder) for encoder in extra}
        arguments = [str(directory), str(seed), training.model_dump_json(), "--json"]
        controls = deployment.start("controls", arguments, module=f"{__package__}.controls")
        if kept is None:
            encoder_ids, learned = services.publish_images(plan, parts, seed, consortium, encoders)
        else:
            encoder_ids, learned = replay_messages(consortium, kept, names)
        predictions, answered = services.answer_unseen(plan, parts, consortium, encoder_ids)
        latents, restored = _restore(plan, directory, parts.unseen.images)
        with story.wait("measuring the controls"):
            for out, process in own.items():
                deployment.finish(out, process)
            hits = deployment.finish("controls", controls)
    encoder_images = join([read_part(directory, encoder.part) for encoder in trainings]).images
    tables = _tabulate(division, predictions, hits, restored, encoder_images.mean(axis=0))
    _tell(tables, story)
    return Measured(
        tables,
        {"seed": seed, "seconds": round(time.monotonic() - started, 1), **learned, **answered},
        division.facts,
        Samples.draw(parts.unseen, latents, restored, np.random.default_rng(seed)),
    )


def prepare(plan: Plan, seed: int, directory: Path) -> Division:
    """Divide the images, write them, and return what was written: pixels of 8 bits."""
    division = divide(plan, seed)
    directory.mkdir(parents=True)
    write_parts(directory, division.parts)
    plan.write(directory)
    return replace(division, parts=replace(read_parts(directory), name=division.parts.name))


def _make_settings(
    plan: Plan, seed: int, directory: Path, parts: Parts, training: TrainingSettings
) -> Settings:
    settings = local_settings(directory)
    images = [len(client) for client in parts.clients]
    rows = (images[0] if plan.encoder == "own" else sum(images)) * (plan.augment + 1)
    server = settings.server
    server.train_min_new_rows = server.max_rows = rows
    server.train_interval_seconds = _NEVER
    server.training, server.seed = training, seed
    return settings


def _restore(plan: Plan, directory: Path, images: Pixels) -> tuple[Pixels, Pixels]:
    """Return the latents [N, D] of unseen images as they travel, and what decoders make of them.

    Every client encodes and decodes its share of the images [N, 1, H, W].
    """
    latents, restored = [], []
    encoders = services.encoder_of_client(plan)
    for out, share in zip(encoders, np.array_split(images, len(encoders)), strict=True):
        latents.append(released_latents(Encoder.load(directory / out), share, plan.dtype))
        restored.append(reconstruct(directory / out, latents[-1]))
    return np.concatenate(latents), np.concatenate(restored)


def _tabulate(
    division: Division,
    predictions: list[Figures],
    hits: dict[str, list[int]],
    restored: Pixels,
    mean_image: Pixels,
) -> Figures:
    unseen, subsets = division.parts.unseen, division.subsets
    return {
        "classification": tabulate_classification(unseen, predictions, subsets),
        "controls": tabulate_controls(hits, subsets),
        "reconstruction": tabulate_reconstruction(unseen, restored, mean_image, subsets),
    }


def _tell(tables: Figures, story: Story) -> None:
    for subset, figures in tables["classification"].items():
        controls = ", ".join(
            f"{name} {accuracy:.2%}" for name, accuracy in tables["controls"][subset].items()
        )
        story.tell(f"{subset}: accuracy {figures['total']['accuracy']:.2%} ({controls})")
