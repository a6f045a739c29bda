"""One seed of the experiment: services and references side by side, then its tables."""

import time
from pathlib import Path
from typing import Any

from client_autoencoder.encoders.runtime import Encoder
from ioa.research.lab.consortium import Consortium
from ioa.research.lab.deployment import Deployment, local_settings
from ioa.research.lab.replayed import copy_encoders, replay_messages
from ioa.research.lab.seeds import SeedResult
from ioa.research.lab.story import Story
from ioa.research.papers.early_exit import services
from ioa.research.papers.early_exit.division import Division, divide
from ioa.research.papers.early_exit.plan import PACKINGS, Plan
from ioa.research.papers.early_exit.tables import Measured, tabulate
from ioa.research.reporting.results import Figures
from ioa.settings import Settings

_NEVER = 1e9  # seconds: each classifier is trained once, on everything


def run_seed(
    plan: Plan, seed: int, directory: Path, story: Story, *, kept: Path | None = None
) -> SeedResult:
    """Run one seed in ``directory``; raises what ``run_experiment`` raises.

    Args:
        kept: the directory of the same seed in an earlier run: its edge is used and its messages
            replayed, instead of new ones.
    """
    started = time.monotonic()
    division = _prepare(plan, seed, directory)
    images, asked = len(division.learned), len(division.unseen)
    deployment = Deployment(directory, _make_settings(plan, seed, directory, images))
    consortium = Consortium(directory, deployment, story, len(PACKINGS))
    with deployment:
        arguments = [str(directory), str(seed), str(plan.passes), "--json"]
        process = deployment.start("references", arguments, module=f"{__package__}.references")
        network_ids, learned = _learn(plan, seed, consortium, images, kept)
        attack = services.start_attack(consortium)
        by_packing, answered = services.ask_server(consortium, asked, network_ids)
        by_threshold = services.ask_when_unsure(consortium, asked)
        with story.wait("training what early exits are compared with"):
            references = deployment.finish("references", process)
        with story.wait("restoring images from their maps"):
            attacked: Any = deployment.finish("attack", attack)  # a row for each release
    measured = Measured(references, attacked, by_packing, by_threshold, learned["bytes"])
    tables = tabulate(plan, division, measured, Encoder.load(directory / services.EDGES[0]))
    _tell(tables, story)
    record = {"seed": seed, "seconds": round(time.monotonic() - started, 1), **learned, **answered}
    return SeedResult(tables, record | {"digests": division.digests()}, division.describe())


def _prepare(plan: Plan, seed: int, directory: Path) -> Division:
    division = divide(plan, seed)
    directory.mkdir(parents=True)
    division.write(directory)
    plan.write(directory)
    return division


def _learn(
    plan: Plan, seed: int, consortium: Consortium, images: int, kept: Path | None
) -> tuple[list[str], Figures]:
    """Fill the server's database, by new messages or those of an earlier run."""
    if kept is None:
        training = services.train_edge(plan, seed, consortium)
        return services.publish_maps(consortium, images, training)
    copy_encoders(kept, consortium.directory, (services.EDGE, *services.EDGES))
    return replay_messages(consortium, kept, services.EDGES)


def _make_settings(plan: Plan, seed: int, directory: Path, images: int) -> Settings:
    settings = local_settings(directory)
    server = settings.server
    server.train_min_new_rows = server.max_rows = images
    server.train_interval_seconds = _NEVER
    server.training, server.seed = plan.training, seed
    return settings


def _tell(tables: Figures, story: Story) -> None:
    accuracies = ", ".join(f"{name} {share:.2%}" for name, share in tables["accuracy"].items())
    story.tell(f"accuracy: {accuracies}")
