"""The value of a set of sites: the accuracy of a classifier that learned from their latents."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from ioa.research.reporting.conditions import Conditions
from ioa.research.studies.configuration import Split
from ioa.research.studies.execution import Snapshots
from ioa.research.studies.learning import Integers, load_latents
from ioa.research.studies.splits import Mask, divide
from ioa.research.studies.trials import apply_head, compute_id, describe_settings
from server_classifier.heads.latent_classifier import LatentClassifier
from server_classifier.heads.settings import HeadName, TrainingSettings
from server_classifier.store.datasets.latents import DatasetLatents


@dataclass(frozen=True, slots=True)
class Game:
    """What is the same for all sets of sites.

    Attributes:
        test_share: of the groups of every site and label, which are tested on.
        before: only latents received before this time (milliseconds since 1970 UTC) are learned.
        noise: site and share of its labels that are changed before any training.
        received: with ``before``, the hash of which latents these are, because the dataset's
            digest does not cover when they were received.
    """

    digest: str
    encoder_id: str
    head: HeadName
    settings: TrainingSettings
    test_share: float
    before: int | None = None
    noise: tuple[tuple[str, float], ...] = ()
    received: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return all that decides the value of a set of sites, except the set and the seed."""
        settings = describe_settings(apply_head(self.head, self.settings))
        return asdict(self) | {"settings": settings, "noise": dict(self.noise)}


@dataclass(frozen=True, slots=True)
class Coalition:
    """Some sites, sorted, that learn together; and the seed of test set, noise and training."""

    game: Game
    seed: int
    sites: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return all that decides its value."""
        return self.game.describe() | {"seed": self.seed, "sites": self.sites}

    @property
    def id(self) -> str:
        """The name of its file."""
        return compute_id(self.describe())

    @property
    def stack_key(self) -> str:
        """Its own, because each coalition learns from other latents."""
        return self.id


class CoalitionRecord(BaseModel, frozen=True, extra="forbid"):
    """The value of a set of sites; not ``trained`` where it has fewer than two labels.

    Then it always predicts its one label. The empty set predicts the test's most frequent label.
    """

    format: Literal["ioa-coalition/1"] = "ioa-coalition/1"
    id: str
    coalition: dict[str, Any]
    accuracy: float
    trained: bool
    rows_learned: int
    rows_tested: int
    seconds: float
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Scene:
    """Which of the N latents may be learned and which are tested, and the labels to learn [N].

    The tested latents keep the labels that the sites stated.
    """

    learnable: Mask
    tested: Mask
    targets: Integers


def value_coalitions(
    coalitions: Sequence[Coalition], snapshots: Snapshots, conditions: Conditions
) -> list[CoalitionRecord]:
    """Train on the latents of each set of sites, test on the same latents of all sites."""
    (snapshot,) = snapshots.values()
    latents = load_latents(snapshot)
    return [_value(coalition, latents, conditions) for coalition in coalitions]


def _value(
    coalition: Coalition, latents: DatasetLatents, conditions: Conditions
) -> CoalitionRecord:
    started = time.perf_counter()
    scene = set_scene(latents, coalition.game, coalition.seed)
    places = [latents.sites.index(site) for site in coalition.sites]
    learned = scene.learnable & np.isin(latents.site_of, places)
    accuracy, trained = _measure(latents, scene, learned, coalition)
    return CoalitionRecord(
        id=coalition.id,
        coalition=coalition.describe(),
        accuracy=accuracy,
        trained=trained,
        rows_learned=int(learned.sum()),
        rows_tested=int(scene.tested.sum()),
        seconds=time.perf_counter() - started,
        conditions=conditions,
    )


def set_scene(latents: DatasetLatents, game: Game, seed: int) -> Scene:
    """Draw the test set and change labels, equally for all sets of sites. Raises StudyError."""
    split = Split(hold_out="subject", share=game.test_share)
    learnable, tested = divide(latents, split, seed, "held out")
    if game.before is not None:
        learnable &= latents.received_at < game.before
    targets = latents.targets.copy()
    for site, share in game.noise:
        place = latents.sites.index(site)
        rng = np.random.default_rng([seed, place])
        rows = np.flatnonzero(learnable & (latents.site_of == place))
        chosen = rng.choice(rows, round(share * len(rows)), replace=False)
        targets[chosen] = change_labels(targets[chosen], len(latents.labels), rng)
    return Scene(learnable, tested, targets)


def change_labels(targets: Integers, classes: int, rng: np.random.Generator) -> Integers:
    """Return another class for each target, each with equal probability."""
    return (targets + rng.integers(1, classes, len(targets))) % classes


def _measure(
    latents: DatasetLatents, scene: Scene, learned: Mask, coalition: Coalition
) -> tuple[float, bool]:
    """Return the accuracy, and whether a classifier was trained."""
    truth = latents.targets[scene.tested]
    targets = scene.targets[learned]
    if not len(targets):
        return float(np.bincount(truth).max() / len(truth)), False
    if (targets == targets[0]).all():
        return float((truth == targets[0]).mean()), False
    settings = apply_head(coalition.game.head, coalition.game.settings)
    classifier = LatentClassifier(settings, coalition.seed).fit(latents.values[learned], targets)
    answers = classifier.predict(latents.values[scene.tested])
    return float((answers == truth).mean()), True
