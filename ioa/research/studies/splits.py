"""The division into latents to learn from and latents to test on: no group is on both sides.

A group is all latents that share a subject or an image of a site, otherwise one message.
"""

import numpy as np
from numpy.typing import NDArray

from ioa.errors import StudyError
from ioa.research.studies.configuration import Split
from server_classifier.store.datasets.latents import DatasetLatents

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def list_folds(split: Split, sites: tuple[str, ...]) -> list[str]:
    """Return the names of a split's folds. Raises StudyError where the only site is held out."""
    if split.hold_out == "subject":
        return ["held out"]
    if split.folds is not None:
        return [str(number + 1) for number in range(split.folds)]
    if len(sites) < 2:
        raise StudyError(f"no site can be held out: all latents are from {', '.join(sites)}")
    return list(sites)


def divide(latents: DatasetLatents, split: Split, seed: int, fold: str) -> tuple[Mask, Mask]:
    """Return which of the N latents are learned from and which are tested on, for one fold.

    The division depends on the latents and the seed only, not on what is trained.

    Raises:
        StudyError: one of the sides is empty.
    """
    tested = _choose_tested(latents, split, np.random.default_rng(seed), fold)
    # Where a site is held out, another site may have latents of the same group.
    learned = ~np.isin(latents.groups, latents.groups[tested])
    if not tested.any() or not learned.any():
        raise StudyError(
            f"fold {fold}: {learned.sum()} latents to learn from, {tested.sum()} to test on"
        )
    return learned, tested


def stratify(latents: DatasetLatents) -> Integers:
    """Return the stratum of each latent [N]: its site and label."""
    return latents.site_of * len(latents.labels) + latents.targets


def draw_folds(
    groups: Integers, strata: Integers, folds: int, rng: np.random.Generator
) -> Integers:
    """Return the fold of each latent [N], from 0: groups are assigned in turn by stratum."""
    return _lay_out(groups, strata, rng) % folds


def draw_share(groups: Integers, strata: Integers, share: float, rng: np.random.Generator) -> Mask:
    """Return which latents [N] belong to a share of the groups, drawn evenly from the strata."""
    places = _lay_out(groups, strata, rng)
    start = rng.random()
    drawn: Mask = np.floor((places + 1) * share + start) > np.floor(places * share + start)
    return drawn


def _choose_tested(
    latents: DatasetLatents, split: Split, rng: np.random.Generator, fold: str
) -> Mask:
    if split.hold_out == "site":
        return np.equal(latents.site_of, latents.sites.index(fold))
    strata = stratify(latents)
    if split.share is not None:
        return draw_share(latents.groups, strata, split.share, rng)
    folds = draw_folds(latents.groups, strata, split.folds or 0, rng)
    return np.equal(folds, int(fold) - 1)


def _lay_out(groups: Integers, strata: Integers, rng: np.random.Generator) -> Integers:
    """Return the place [N] of each latent's group: by stratum of its first latent, then random."""
    unique, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    order = np.lexsort((rng.random(len(unique)), strata[first]))
    place = np.empty(len(unique), np.int64)
    place[order] = np.arange(len(unique))
    return place[group_of]
