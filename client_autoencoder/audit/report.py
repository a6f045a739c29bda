"""One attack on several releases of the same images, the unprotected one first.

An attacker that fails on the unprotected release says nothing about a protected one, so its rows
say just that, and no row claims protection.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from client_autoencoder.audit.attack import Attack, Figures, Target
from client_autoencoder.audit.registry import find_attack
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.errors import ClientError

PROVES_NOTHING = "the attacker failed on the unprotected release: this row proves nothing"

_SUCCESS = 0.25  # of the way from the floor to 1


@dataclass(frozen=True, slots=True)
class Row:
    """What one attack got of one release; ``dataclasses.asdict`` makes it JSON.

    Attributes:
        reached, spread: mean and standard deviation over the seeds of each figure; the spread is 0
            for one seed.
        floor: mean figures without any release.
        gain: how much of the way from the floor to 1 the headline figure goes, as a share.
        verdict: in words.
    """

    attack: str
    release: str
    seeds: int
    headline: str
    reached: Figures
    spread: Figures
    floor: Figures
    gain: float
    verdict: str


def audit(
    name: str, runs: Iterable[Mapping[str, Target]], options: TrainingOptions | None = None
) -> list[Row]:
    """Run one attack on every release, once for each seed; return a row for each release.

    Args:
        runs: for the seeds 0, 1, 2 ... the releases by name, the unprotected one first; the
            attacker draws from the same seed for each release.
        options: how an attacker's networks are trained.

    Raises:
        ClientError: there is no such attack, no run, or runs differ in their releases.
    """
    attack, chosen = find_attack(name), options or TrainingOptions()
    tried = [
        {title: _try(attack, target, seed, chosen) for title, target in run.items()}
        for seed, run in enumerate(runs)
    ]
    titles = list(tried[0]) if tried else []
    if not titles or any(list(run) != titles for run in tried):
        raise ClientError("an audit needs the same releases of every seed, the unprotected first")
    rows = [_summarise(name, title, [run[title] for run in tried]) for title in titles]
    return [replace(row, verdict=_judge(row.gain, rows[0].gain)) for row in rows]


class _Tried(NamedTuple):
    reached: Figures
    floor: Figures


def _try(attack: Attack, target: Target, seed: int, options: TrainingOptions) -> _Tried:
    attacker = attack.fit(target.public, torch.Generator().manual_seed(seed), options)
    return _Tried(attacker.score(target.victims), attacker.floor(target.victims))


def _summarise(name: str, title: str, tried: Sequence[_Tried]) -> Row:
    scores, floors = [own.reached for own in tried], [own.floor for own in tried]
    headline = find_attack(name).headline
    reached, floor = _average(scores), _average(floors)
    gain = _compare(reached[headline], floor[headline])
    return Row(name, title, len(tried), headline, reached, _spread(scores), floor, gain, "")


def _compare(reached: float, floor: float) -> float:
    """Return how much of the way from the floor to 1 was gone; where all is known before, none."""
    return (reached - floor) / (1 - floor) if floor < 1 else 0.0


def _judge(gain: float, unprotected: float) -> str:
    if unprotected < _SUCCESS:
        return PROVES_NOTHING
    share = max(gain, 0.0) / unprotected
    return f"gets {share:.0%} of what it gets unprotected; another attacker may get more"


def _average(figures: Sequence[Figures]) -> Figures:
    return {name: float(np.mean([own[name] for own in figures])) for name in figures[0]}


def _spread(figures: Sequence[Figures]) -> Figures:
    seeds = min(1, len(figures) - 1)  # one seed has no spread
    return {name: float(np.std([own[name] for own in figures], ddof=seeds)) for name in figures[0]}
