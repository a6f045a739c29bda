"""What each member of a group adds to its value: the Shapley value.

A member's Shapley value is the mean of what it adds when the members come one after another, over
all orders (L. S. Shapley, "A value for n-person games", 1953). The values of all members sum to
the value of all together less that of none. A sample of orders gives an estimate with the same sum
(Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009).
Members that are training data are known from Ghorbani and Zou, "Data Shapley", 2019.

The first member of an order adds most, far more than members differ by. So orders are sampled in
blocks, an order with all its rotations, in which every member comes first once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from math import ceil, comb, sqrt

import numpy as np

Members = frozenset[str]
Value = Callable[[Members], float]
Order = tuple[str, ...]
Block = list[Order]
"""An order and its rotations: every member stands once at every place."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a member adds; ``error`` is an estimate's standard error, None of an exact value."""

    value: float
    error: float | None = None


def list_coalitions(members: Sequence[str]) -> list[Members]:
    """Return all 2^n sets of members, from none to all."""
    return [
        frozenset(chosen)
        for size in range(len(members) + 1)
        for chosen in combinations(members, size)
    ]


def list_prefixes(blocks: Sequence[Block]) -> list[Members]:
    """Return the sets at the beginning of the orders, from none to all, each set once."""
    orders = chain.from_iterable(blocks)
    sets = [frozenset(order[:size]) for order in orders for size in range(len(order) + 1)]
    return list(dict.fromkeys(sets))


def draw_blocks(members: Sequence[str], orders: int, rng: np.random.Generator) -> list[Block]:
    """Return at least so many orders at random, in whole blocks, at least two."""
    count = max(2, ceil(orders / len(members)))
    drawn = [[members[place] for place in rng.permutation(len(members))] for _ in range(count)]
    return [[tuple(order[at:] + order[:at]) for at in range(len(order))] for order in drawn]


def compute_shapley(members: Sequence[str], value: Value) -> dict[str, Share]:
    """Return the exact Shapley values, from the values of all coalitions."""
    shares = dict.fromkeys(members, 0.0)
    for coalition in list_coalitions(members):
        for member in coalition:
            others = coalition - {member}
            # The share of all orders in which exactly these others come before the member.
            weight = 1 / (len(members) * comb(len(members) - 1, len(others)))
            shares[member] += weight * (value(coalition) - value(others))
    return {member: Share(share) for member, share in shares.items()}


def estimate_shapley(blocks: Sequence[Block], value: Value) -> dict[str, Share]:
    """Return the mean of what members add over some blocks; an error needs at least two."""
    means = [_average_added(block, value) for block in blocks]
    added = {member: [mean[member] for mean in means] for member in sorted(means[0])}
    return {member: Share(float(np.mean(sums)), _error(sums)) for member, sums in added.items()}


def _average_added(orders: Sequence[Order], value: Value) -> dict[str, float]:
    added = dict.fromkeys(orders[0], 0.0)
    for order in orders:
        for place, member in enumerate(order):
            before = frozenset(order[:place])
            added[member] += (value(before | {member}) - value(before)) / len(orders)
    return added


def _error(numbers: Sequence[float]) -> float | None:
    return float(np.std(numbers, ddof=1)) / sqrt(len(numbers)) if len(numbers) > 1 else None
