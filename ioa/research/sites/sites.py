"""The counterfactual consortium: what each site adds to the others, by training without it."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ioa.errors import StudyError
from ioa.research.reporting.conditions import Conditions
from ioa.research.reporting.spread import find_spread
from ioa.research.sites.coalitions import (
    Coalition,
    CoalitionRecord,
    Game,
    set_scene,
    value_coalitions,
)
from ioa.research.sites.shapley import (
    Block,
    Members,
    Share,
    compute_shapley,
    draw_blocks,
    estimate_shapley,
    list_coalitions,
    list_prefixes,
)
from ioa.research.studies.execution import Progress, train_missing
from server_classifier.store.datasets.latents import DatasetLatents

EXACT_SITES = 6
"""Up to so many sites, all 2^n sets of sites are trained; of more, orders are sampled."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """Accuracies, and by site: of it alone, of all without it, and its Shapley value.

    Sets of sites in ``untrained`` have at most one label to learn, which they always predict.
    """

    seed: int
    everyone: float
    nobody: float
    alone: dict[str, float]
    without: dict[str, float]
    shapley: dict[str, Share]
    untrained: frozenset[Members]


@dataclass(frozen=True, slots=True)
class SitesReport:
    """The results of all seeds.

    Attributes:
        latents: how many each site has.
        orders: how many were sampled for each seed, None where values are exact.
    """

    dataset: str
    game: Game
    latents: dict[str, int]
    orders: int | None
    results: list[SeedResult]
    conditions: list[Conditions]

    @property
    def sites(self) -> list[str]:
        """The sites by what they add on average, the most first."""
        seeds = [result.shapley for result in self.results]
        means = {site: np.mean([seed[site].value for seed in seeds]) for site in self.latents}
        return sorted(self.latents, key=lambda site: -means[site])

    def to_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "dataset": self.dataset,
            "game": self.game.describe(),
            "orders": self.orders,
            "everyone": [result.everyone for result in self.results],
            "nobody": [result.nobody for result in self.results],
            "seeds": [result.seed for result in self.results],
            "untrained": [sorted(map(sorted, result.untrained)) for result in self.results],
            "sites": [self._site_to_json(site) for site in self.sites],
        }

    def _site_to_json(self, site: str) -> dict[str, Any]:
        shares = [result.shapley[site] for result in self.results]
        errors = [share.error for share in shares]
        return {
            "site": site,
            "latents": self.latents[site],
            "alone": _gather([result.alone[site] for result in self.results]),
            "without": _gather([result.without[site] for result in self.results]),
            "shapley": _gather([share.value for share in shares]),
            "shapley_errors": None if None in errors else errors,
        }


def run_sites(
    dataset: str,
    latents: DatasetLatents,
    game: Game,
    folder: Path,
    *,
    seeds: int,
    orders: int,
    jobs: int,
    on_progress: Progress,
) -> tuple[SitesReport, int]:
    """Train every set of sites that is needed once per seed; return the report and how many.

    Args:
        folder: keeps the value of each set, so that it is trained only once.
        orders: how many orders of the sites are sampled at least where there are more than six.

    Raises:
        StudyError: there is nothing to compare, not even all sites together can be trained, or a
            site is not in the dataset.
    """
    game = _check(latents, game)
    for seed in range(seeds):
        _refuse_one_label(latents, game, seed)
    sites = latents.sites
    sampled = len(sites) > EXACT_SITES
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    blocks = [draw_blocks(sites, orders, rng) if sampled else [] for rng in rngs]
    coalitions = [
        {
            members: Coalition(game, seed, tuple(sorted(members)))
            for members in _list_needed(sites, drawn)
        }
        for seed, drawn in enumerate(blocks)
    ]
    tasks = [coalition for needed in coalitions for coalition in needed.values()]
    records, trained = train_missing(
        *(CoalitionRecord, tasks, value_coalitions, [latents], folder),
        jobs=jobs,
        on_progress=on_progress,
    )
    results = []
    for seed, needed in enumerate(coalitions):
        values = {members: records[coalition.id] for members, coalition in needed.items()}
        results.append(_conclude(sites, seed, blocks[seed], values))
    report = SitesReport(
        dataset,
        game,
        dict(zip(sites, np.bincount(latents.site_of).tolist(), strict=True)),
        sum(map(len, blocks[0])) or None,
        results,
        [record.conditions for record in records.values()],
    )
    return report, trained


def _check(latents: DatasetLatents, game: Game) -> Game:
    """Return the game with the hash of what was received before its time, if it has one."""
    if len(latents.sites) < 2 or len(latents.labels) < 2:
        raise StudyError(
            f"sites {', '.join(latents.sites)} and labels {', '.join(latents.labels)}: to compare "
            "sites, two of each are needed"
        )
    for site, _ in game.noise:
        if site not in latents.sites:
            raise StudyError(f"there is no site {site}; there are {', '.join(latents.sites)}")
    if game.before is None:
        return game
    received = latents.received_at < game.before
    if not received.any():
        raise StudyError("no latent was received before that time")
    return replace(game, received=hashlib.sha256(np.packbits(received).tobytes()).hexdigest())


def _refuse_one_label(latents: DatasetLatents, game: Game, seed: int) -> None:
    scene = set_scene(latents, game, seed)
    learned = np.unique(scene.targets[scene.learnable])
    if len(learned) < 2:
        has = f"only label {latents.labels[learned[0]]}" if len(learned) else "nothing"
        raise StudyError(
            f"with seed {seed} all sites together have {has} to learn from: choose a smaller "
            "--test-share, a later --before, or a larger dataset"
        )


def _list_needed(sites: tuple[str, ...], blocks: list[Block]) -> list[Members]:
    """Return the sets of sites to train: those of the sampled orders, or all."""
    if not blocks:
        return list_coalitions(sites)
    everyone, single = frozenset(sites), [frozenset({site}) for site in sites]
    return [*list_prefixes(blocks), *single, *(everyone - alone for alone in single)]


def _conclude(
    sites: tuple[str, ...],
    seed: int,
    blocks: list[Block],
    records: dict[Members, CoalitionRecord],
) -> SeedResult:
    def value(members: Members) -> float:
        return records[members].accuracy

    everyone = frozenset(sites)
    return SeedResult(
        seed,
        value(everyone),
        value(frozenset()),
        {site: value(frozenset({site})) for site in sites},
        {site: value(everyone - {site}) for site in sites},
        estimate_shapley(blocks, value) if blocks else compute_shapley(sites, value),
        frozenset(members for members in records if members and not records[members].trained),
    )


def _gather(values: list[float]) -> dict[str, Any]:
    spread = find_spread(values)
    return {**(spread.to_json() if spread else {}), "by_seed": values}
