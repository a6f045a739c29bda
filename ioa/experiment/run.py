"""The third seed's experiment: every seed of it through the services, then one summary."""

import platform
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ioa.experiment.division import Division, divide
from ioa.experiment.figure import Samples
from ioa.experiment.grid import VALIDATION, search_grid
from ioa.experiment.plan import Plan
from ioa.experiment.services import (
    answer_unseen,
    encoder_of_client,
    encoder_options,
    encoder_trainings,
)
from ioa.experiment.tables import (
    Figures,
    restore,
    summarise,
    tabulate_classification,
    tabulate_controls,
    tabulate_reconstruction,
)
from ioa.local.consortium import Consortium, EncoderTraining
from ioa.local.deployment import Deployment, local_settings
from ioa.local.parts import CLIENTS, Parts, read_parts, write_parts
from ioa.local.story import Story
from ioa.local.working_directory import working_directory
from server_classifier.training_settings import TrainingSettings

_NEVER = 1e9  # seconds: the classifier is trained once, on everything
_PACKAGES = ("internet-of-autoencoders", "numpy", "onnxruntime", "torch")


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave: figures for the tables, the record of the run, and pictures."""

    tables: Figures
    record: Figures
    facts: Figures
    samples: Samples


def run_experiment(
    plan: Plan, keep: Path | None, now: datetime, story: Story
) -> tuple[Figures, Samples]:
    """Run all seeds; return the result and the pictures of the first seed.

    Args:
        keep: a new directory for what the processes leave; without it that is removed.

    Raises:
        ClientError: the images cannot be used.
        StreamError: the broker does not start.
        ProcessFailed: a process failed, or a message was lost.
    """
    rows = _search(plan, keep, story) if plan.grid else []
    training = _best(rows)
    results = []
    for seed in range(plan.seeds):
        story.tell(f"[bold]{plan.name}, seed {seed}[/] ({seed + 1} of {plan.seeds})")
        with working_directory(keep and keep / f"seed-{seed}", "ioa-experiment-") as directory:
            results.append(run_seed(plan, seed, directory, training, story))
    first = results[0]
    result = {
        "experiment": "003",
        "name": plan.name,
        "plan": asdict(plan) | {"data": first.facts["name"]},
        "data": first.facts,
        "training": training.model_dump(),
        "grid": {"validation": VALIDATION, "seed": 0, "rows": rows} if rows else None,
        "tables": summarise([result.tables for result in results]),
        "seeds": [result.tables | result.record for result in results],
        "conditions": {
            "date": now.date().isoformat(),
            "seconds": round(story.seconds, 1),
            "machine": f"{platform.machine()}, {platform.system()}",
            "versions": {"python": platform.python_version()}
            | {package: version(package) for package in _PACKAGES},
        },
    }
    return result, first.samples


def run_seed(
    plan: Plan, seed: int, directory: Path, training: TrainingSettings, story: Story
) -> SeedResult:
    """Run one seed in ``directory``: services and controls side by side."""
    started = time.monotonic()
    division = _prepare(plan, seed, directory)
    unseen, subsets = division.parts.unseen, division.subsets
    deployment = Deployment(directory, _make_settings(plan, seed, directory, division, training))
    consortium = Consortium(directory, deployment, story)
    encoders = {
        one.out: consortium.start_training(one, *encoder_options(plan, division.parts.name, seed))
        for one in encoder_trainings(plan)
    }
    arguments = [str(directory), str(seed), training.model_dump_json(), "--json"]
    with deployment:
        controls = deployment.start("controls", arguments, module="ioa.experiment.controls")
        answered = answer_unseen(plan, division, seed, consortium, encoders)
        latents, restored = restore(directory, encoder_of_client(plan), unseen.images, plan.dtype)
        with story.wait("measuring the controls"):
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


def _prepare(plan: Plan, seed: int, directory: Path) -> Division:
    """Divide the images, write them, and go on with what was written: pixels of 8 bits."""
    division = divide(plan, seed)
    write_parts(directory, division.parts)
    plan.write(directory)
    written = replace(read_parts(directory), name=division.parts.name)
    return replace(division, parts=written)


def _make_settings(
    plan: Plan, seed: int, directory: Path, division: Division, training: TrainingSettings
) -> Any:
    settings = local_settings(directory)
    images = [len(client) for client in division.parts.clients]
    learned = images[0] if plan.encoder == "own" else sum(images)
    settings.server.train_min_new_rows = learned * (plan.augment + 1)
    settings.server.train_interval_seconds = _NEVER
    settings.server.training = training
    settings.server.seed = seed
    return settings


def _encoder_images(plan: Plan, parts: Parts) -> Any:
    """Return the images on which the encoder, or all of them, was trained."""
    if plan.encoder == "shared":
        return parts.public.images
    count = CLIENTS if plan.encoder == "own" else 1
    return np.concatenate([client.images for client in parts.clients[:count]])


def _search(plan: Plan, keep: Path | None, story: Story) -> list[dict[str, Any]]:
    """Search the grid once, on the division of seed 0."""
    with working_directory(keep and keep / "grid", "ioa-grid-") as directory:
        division = _prepare(plan, 0, directory)
        deployment = Deployment(directory, local_settings(directory))
        consortium = Consortium(directory, deployment, story)
        training = EncoderTraining("encoder", "public", public=True)
        process = consortium.start_training(training, *encoder_options(plan, plan.name, 0))
        with story.wait("training the encoder for the grid search"):
            deployment.finish("encoder", process)
        with story.wait("searching the grid") as show:
            rows = search_grid(plan, division.parts.clients, directory / "encoder", 0, show)
    story.tell(f"best of {len(rows)} choices on the validation split: {rows[0]}")
    return rows


def _best(rows: list[dict[str, Any]]) -> TrainingSettings:
    if not rows:
        return TrainingSettings()
    return TrainingSettings(**{name: rows[0][name] for name in rows[0] if name != "accuracy"})


def _tell(tables: Figures, story: Story) -> None:
    for subset, figures in tables["classification"].items():
        controls = ", ".join(
            f"{name} {accuracy:.2%}" for name, accuracy in tables["controls"][subset].items()
        )
        story.tell(f"{subset}: accuracy {figures['total']['accuracy']:.2%} ({controls})")
