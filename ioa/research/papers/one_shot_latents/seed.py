"""One seed of the experiment: services and controls side by side, then its tables."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ioa.research.lab.consortium import Consortium, Process
from ioa.research.lab.deployment import Deployment, local_settings
from ioa.research.lab.parts import CLIENTS, Parts, read_parts, write_parts
from ioa.research.lab.story import Story
from ioa.research.papers.one_shot_latents.division import Division, divide
from ioa.research.papers.one_shot_latents.figure import Samples
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.papers.one_shot_latents.replayed import copy_encoders, replay_messages
from ioa.research.papers.one_shot_latents.restoration import restore
from ioa.research.papers.one_shot_latents.services import (
    answer_unseen,
    encoder_of_client,
    encoder_trainings,
    own_trainings,
    publish_images,
)
from ioa.research.papers.one_shot_latents.tables import (
    Figures,
    tabulate_classification,
    tabulate_controls,
    tabulate_reconstruction,
)
from ioa.settings import Settings
from server_classifier.heads.settings import TrainingSettings

_NEVER = 1e9  # seconds: the classifier is trained once, on everything


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave: figures for the tables, the record of the run, facts and pictures."""

    tables: Figures
    record: Figures
    facts: Figures
    samples: Samples


def run_seed(
    plan: Plan,
    seed: int,
    directory: Path,
    training: TrainingSettings,
    story: Story,
    *,
    kept: Path | None = None,
) -> SeedResult:
    """Run one seed in ``directory``.

    Args:
        kept: what the same seed of an earlier run has left: its encoders are used, and its
            messages replayed, instead of new ones.

    Raises:
        ClientError: the images cannot be used.
        StreamError: the broker does not start.
        ProcessFailed: a process failed, or a message was lost.
    """
    started = time.monotonic()
    division = prepare(plan, seed, directory)
    unseen, subsets = division.parts.unseen, division.subsets
    deployment = Deployment(directory, _make_settings(plan, seed, directory, division, training))
    consortium = Consortium(directory, deployment, story)
    trainings = encoder_trainings(plan, seed)
    if kept is None:
        encoders = {one.out: consortium.start_training(one) for one in trainings}
    else:
        copy_encoders(kept, directory, [one.out for one in trainings])
    with deployment:
        own = _start_own_encoders(plan, seed, consortium)
        arguments = [str(directory), str(seed), training.model_dump_json(), "--json"]
        controls = deployment.start("controls", arguments, module=f"{__package__}.controls")
        if kept is None:
            learned = publish_images(plan, division, seed, consortium, encoders)
        else:
            learned = replay_messages(consortium, kept, [one.out for one in trainings])
        answered = answer_unseen(plan, division, consortium, learned)
        latents, restored = restore(directory, encoder_of_client(plan), unseen.images, plan.dtype)
        with story.wait("measuring the controls"):
            for out, process in own.items():
                deployment.finish(out, process)
            hits = deployment.finish("controls", controls)
    mean_image = _encoder_images(plan, division.parts).mean(axis=0)
    tables = {
        "classification": tabulate_classification(unseen, answered.predictions, subsets),
        "controls": tabulate_controls(hits, subsets),
        "reconstruction": tabulate_reconstruction(unseen, restored, mean_image, subsets),
    }
    _tell(tables, story)
    return SeedResult(
        tables,
        {"seed": seed, "seconds": round(time.monotonic() - started, 1), **answered.record},
        division.facts,
        Samples.draw(unseen, latents, restored, np.random.default_rng(seed)),
    )


def prepare(plan: Plan, seed: int, directory: Path) -> Division:
    """Divide the images, write them, and go on with what was written: pixels of 8 bits.

    Raises:
        ClientError: the images cannot be used.
    """
    division = divide(plan, seed)
    directory.mkdir(parents=True)
    write_parts(directory, division.parts)
    plan.write(directory)
    return replace(division, parts=replace(read_parts(directory), name=division.parts.name))


def _make_settings(
    plan: Plan, seed: int, directory: Path, division: Division, training: TrainingSettings
) -> Settings:
    settings = local_settings(directory)
    images = [len(client) for client in division.parts.clients]
    learned = images[0] if plan.encoder == "own" else sum(images)
    settings.server.train_min_new_rows = learned * (plan.augment + 1)
    settings.server.max_rows = learned * (plan.augment + 1)
    settings.server.train_interval_seconds = _NEVER
    settings.server.training = training
    settings.server.seed = seed
    return settings


def _start_own_encoders(plan: Plan, seed: int, consortium: Consortium) -> dict[str, Process]:
    """Start what only a control needs; where the clients use own encoders, these do."""
    if plan.encoder == "own" or not plan.wants_own_encoders:
        return {}
    return {one.out: consortium.start_training(one) for one in own_trainings(plan, seed)}


def _encoder_images(plan: Plan, parts: Parts) -> NDArray[np.float32]:
    """Return the images on which the encoder, or all of them, was trained."""
    if plan.encoder == "shared":
        return parts.public.images
    count = CLIENTS if plan.encoder == "own" else 1
    return np.concatenate([client.images for client in parts.clients[:count]])


def _tell(tables: Figures, story: Story) -> None:
    for subset, figures in tables["classification"].items():
        controls = ", ".join(
            f"{name} {accuracy:.2%}" for name, accuracy in tables["controls"][subset].items()
        )
        story.tell(f"{subset}: accuracy {figures['total']['accuracy']:.2%} ({controls})")
