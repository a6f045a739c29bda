"""What members add sums to what all of them are worth."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from ioa.research.sites.shapley import (
    Members,
    compute_shapley,
    draw_blocks,
    estimate_shapley,
    list_coalitions,
    list_prefixes,
)

MEMBERS = ("a", "b", "c", "d", "e")


def bumpy(members: Members) -> float:
    """A value without any symmetry: pairs help or harm each other."""
    numbers = sorted(ord(member) - 96 for member in members)
    return 0.3 + sum(numbers) ** 0.5 - 0.7 * ("a" in members and "c" in members)


def test_the_values_sum_to_what_all_add_to_none() -> None:
    shares = compute_shapley(MEMBERS, bumpy)
    total = sum(share.value for share in shares.values())
    assert total == pytest.approx(bumpy(frozenset(MEMBERS)) - bumpy(frozenset()))


def test_the_gloves_game() -> None:
    """One left glove, two right ones, only a pair is worth anything: 2/3, 1/6, 1/6."""

    def pairs(members: Members) -> float:
        return float("left" in members and len(members) > 1)

    shares = compute_shapley(("left", "right", "other right"), pairs)
    assert [share.value for share in shares.values()] == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_all_orders_estimate_the_exact_values() -> None:
    exact = compute_shapley(MEMBERS, bumpy)
    estimate = estimate_shapley([list(permutations(MEMBERS))], bumpy)
    assert {member: share.value for member, share in estimate.items()} == pytest.approx(
        {member: share.value for member, share in exact.items()}
    )


def test_a_sample_sums_to_the_same_and_states_its_error() -> None:
    blocks = draw_blocks(MEMBERS, 40, np.random.default_rng(0))
    exact, estimate = compute_shapley(MEMBERS, bumpy), estimate_shapley(blocks, bumpy)
    total = sum(share.value for share in estimate.values())
    assert total == pytest.approx(bumpy(frozenset(MEMBERS)) - bumpy(frozenset()))
    for member, share in estimate.items():
        assert share.error is not None
        assert abs(share.value - exact[member].value) < 4 * share.error + 1e-9


@pytest.mark.parametrize(("orders", "blocks"), [(2, 2), (14, 2), (15, 3), (30, 5)])
def test_every_member_stands_equally_often_at_every_place(orders: int, blocks: int) -> None:
    drawn = draw_blocks("abcdefg", orders, np.random.default_rng(0))
    assert len(drawn) == blocks
    for places in zip(*(order for block in drawn for order in block), strict=True):
        assert Counter(places) == dict.fromkeys("abcdefg", blocks)


def test_a_bad_member_of_seven_is_last_in_every_sample() -> None:
    def learn(members: Members) -> float:
        """The first adds most, as with an accuracy; "g" is worth less than the others."""
        return 1 - 0.2 ** sum(0.8 if member == "g" else 1.0 for member in members)

    for seed in range(20):
        blocks = draw_blocks("abcdefg", 28, np.random.default_rng(seed))
        shares = estimate_shapley(blocks, learn)
        assert min(shares, key=lambda member: shares[member].value) == "g"
        assert all(share.error is not None and share.error < 0.005 for share in shares.values())


def test_only_the_sets_that_are_needed_are_listed() -> None:
    assert len(list_coalitions(MEMBERS)) == len(set(list_coalitions(MEMBERS))) == 32
    prefixes = list_prefixes([[("a", "b", "c")], [("a", "c", "b")]])
    assert prefixes == [frozenset(members) for members in ("", "a", "ab", "abc", "ac")]
