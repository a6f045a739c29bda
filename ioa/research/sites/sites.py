"""The counterfactual consortium: what each site adds to the others, by training without it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

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
from ioa.research.studies.conditions import Conditions, read_conditions
from ioa.research.studies.errors import StudyError
from ioa.research.studies.execution import Progress, run_missing
from ioa.research.studies.records import read_records
from ioa.research.studies.summary import find_spread
from ioa.run.termination import ended_in_order
from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.datasets.snapshots import write_snapshot

EXACT_SITES = 6
"""So many sites are retrained in all 2^n sets; of more, orders are sampled."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """Accuracies, and by site: of it alone, of all without it, and what it adds.

    Sets of sites in ``untrained`` have one label at most to learn, which they always answer.
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
    """The results of all seeds; ``orders`` were sampled for each, None where values are exact."""

    dataset: str
    game: Game
    latents: dict[str, int]
    orders: int | None
    results: list[SeedResult]
    conditions: list[Conditions]

    @property
    def sites(self) -> list[str]:
        """The sites by what they add on average, the most first."""
        return sorted(self.latents, key=lambda site: -self._mean_share(site))

    def _mean_share(self, site: str) -> float:
        return float(np.mean([one.shapley[site].value for one in self.results]))

    def to_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "dataset": self.dataset,
            "game": self.game.describe(),
            "orders": self.orders,
            "everyone": [one.everyone for one in self.results],
            "nobody": [one.nobody for one in self.results],
            "seeds": [one.seed for one in self.results],
            "untrained": [sorted(map(sorted, one.untrained)) for one in self.results],
            "sites": [self._site_to_json(site) for site in self.sites],
        }

    def _site_to_json(self, site: str) -> dict[str, Any]:
        errors = [one.shapley[site].error for one in self.results]
        return {
            "site": site,
            "latents": self.latents[site],
            "alone": _gather(one.alone[site] for one in self.results),
            "without": _gather(one.without[site] for one in self.results),
            "shapley": _gather(one.shapley[site].value for one in self.results),
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
    """Train every set of sites that is needed once per seed; return what came of it, and how many.

    Args:
        folder: keeps the value of each set, so that it is trained once only.
        orders: how many orders of the sites are sampled at least where there are more than six.

    Raises:
        StudyError: there is nothing to compare, not even all sites together can be trained, or a
            site is not in the dataset.
    """
    _check(latents, game)
    game = _note_received(game, latents)
    for seed in range(seeds):
        _refuse_one_label(latents, game, seed)
    drawn = {seed: _draw(latents.sites, orders, seed) for seed in range(seeds)}
    coalitions = {
        one.id: one
        for seed in range(seeds)
        for one in _list_needed(latents.sites, game, seed, drawn[seed])
    }
    with ended_in_order(), TemporaryDirectory(prefix="ioa-sites-") as temporary:
        snapshot = Path(temporary, "all.latents")
        write_snapshot(latents, snapshot)
        work = partial(value_coalitions, snapshot=snapshot, conditions=read_conditions())
        trained = run_missing(
            coalitions,
            work,
            folder,
            stack_by=attrgetter("id"),  # each learns from other latents
            jobs=jobs,
            on_progress=on_progress,
        )
    records = read_records(CoalitionRecord, folder, coalitions)
    counts = np.bincount(latents.site_of).tolist()
    found: dict[int, dict[Members, CoalitionRecord]] = {seed: {} for seed in drawn}
    for name, one in coalitions.items():
        found[one.seed][frozenset(one.sites)] = records[name]
    results = [_conclude(latents.sites, seed, drawn[seed], found[seed]) for seed in drawn]
    sampled = sum(map(len, drawn[0])) or None
    held = dict(zip(latents.sites, counts, strict=True))
    conditions = [record.conditions for record in records.values()]
    return SitesReport(dataset, game, held, sampled, results, conditions), trained


def _check(latents: DatasetLatents, game: Game) -> None:
    if len(latents.sites) < 2 or len(latents.labels) < 2:
        raise StudyError(
            f"sites {', '.join(latents.sites)} and labels {', '.join(latents.labels)}: to compare "
            "sites, two of each are needed"
        )
    for site, _ in game.noise:
        if site not in latents.sites:
            raise StudyError(f"there is no site {site}; there are {', '.join(latents.sites)}")
    if game.before is not None and not (latents.received_at < game.before).any():
        raise StudyError("no latent was received before that time")


def _note_received(game: Game, latents: DatasetLatents) -> Game:
    if game.before is None:
        return game
    mask = np.packbits(latents.received_at < game.before)
    return replace(game, received=hashlib.sha256(mask.tobytes()).hexdigest())


def _refuse_one_label(latents: DatasetLatents, game: Game, seed: int) -> None:
    scene = set_scene(latents, game, seed)
    learned = np.unique(scene.targets[scene.learnable])
    if len(learned) < 2:
        has = f"only label {latents.labels[learned[0]]}" if len(learned) else "nothing"
        raise StudyError(
            f"with seed {seed} all sites together have {has} to learn from: choose a smaller "
            "--test-share, a later --before, or a larger dataset"
        )


def _draw(sites: tuple[str, ...], orders: int, seed: int) -> list[Block]:
    """Return the orders to sample, none where all sets are trained anyway."""
    if len(sites) <= EXACT_SITES:
        return []
    return draw_blocks(sites, orders, np.random.default_rng(seed))


def _list_needed(
    sites: tuple[str, ...], game: Game, seed: int, blocks: list[Block]
) -> Iterator[Coalition]:
    if blocks:
        everyone = frozenset(sites)
        needed = [*list_prefixes(blocks), *(frozenset({site}) for site in sites)]
        needed += [everyone - {site} for site in sites]
    else:
        needed = list_coalitions(sites)
    for members in needed:
        yield Coalition(game, seed, tuple(sorted(members)))


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
        frozenset(one for one, record in records.items() if one and not record.trained),
    )


def _gather(values: Iterable[float]) -> dict[str, Any]:
    numbers = list(values)
    spread = find_spread(numbers)
    return {
        "mean": spread.mean if spread else None,
        "sd": spread.sd if spread else None,
        "by_seed": numbers,
    }
