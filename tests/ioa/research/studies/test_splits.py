"""Nothing that was learned is tested, and everything is tested."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ioa.errors import StudyError
from ioa.research.studies.configuration import Split
from ioa.research.studies.splits import divide, draw_folds, draw_share, list_folds
from tests.ioa.research.made_latents import make_latents

SPLITS = [Split(folds=4), Split(hold_out="site"), Split(hold_out="subject", share=0.25)]


@pytest.mark.parametrize("split", SPLITS, ids=["folds", "site", "subject"])
def test_no_group_is_on_both_sides(split: Split) -> None:
    latents = make_latents()
    for fold in list_folds(split, latents.sites):
        learned, tested = divide(latents, split, 0, fold)
        assert learned.any()
        assert tested.any()
        assert not set(latents.groups[learned]) & set(latents.groups[tested])


def test_every_latent_is_tested_in_one_fold() -> None:
    latents = make_latents(121)
    split = Split(folds=4)
    tested = [divide(latents, split, 3, fold)[1] for fold in list_folds(split, latents.sites)]
    assert (np.sum(tested, axis=0) == 1).all()


@given(
    groups=st.lists(st.integers(0, 30), min_size=1, max_size=80),
    folds=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_folds_are_even_and_keep_groups_together(groups: list[int], folds: int, seed: int) -> None:
    numbers = np.array(groups, np.int64)
    fold_of = draw_folds(numbers, numbers % 3, folds, np.random.default_rng(seed))
    pairs = set(zip(groups, fold_of.tolist(), strict=True))
    assert len(pairs) == len(set(groups))
    counts = np.bincount([fold for _, fold in pairs], minlength=folds)
    assert counts.max() - counts.min() <= 1


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_a_share_is_drawn_evenly_from_every_stratum(share: float, seed: int) -> None:
    groups = np.repeat(np.arange(90), 2)
    strata = np.repeat(np.arange(3), 60)
    drawn = draw_share(groups, strata, share, np.random.default_rng(seed))
    assert (drawn[::2] == drawn[1::2]).all()
    for stratum in range(3):
        assert abs(drawn[strata == stratum].sum() / 2 - 30 * share) <= 1


def test_a_seed_repeats_its_division_and_another_does_not() -> None:
    latents = make_latents()
    first, again, other = (divide(latents, Split(folds=4), seed, "1")[1] for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_site_held_out_takes_its_groups_along() -> None:
    latents = make_latents()
    latents.groups[latents.site_of == 1] = 0  # now one image is at east and at north
    learned, tested = divide(latents, Split(hold_out="site"), 0, "east")
    assert (latents.site_of[tested] == 0).all()
    assert (latents.site_of[learned] == 2).all()


def test_one_site_cannot_be_held_out() -> None:
    with pytest.raises(StudyError, match="all latents are from north"):
        list_folds(Split(hold_out="site"), ("north",))


def test_one_group_cannot_be_divided() -> None:
    with pytest.raises(StudyError, match="3 latents to learn from, 0 to test on"):
        divide(make_latents(3), Split(folds=2), 0, "2")
