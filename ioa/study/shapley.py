"""What each member of a group adds to its value: Shapley's answer.

A member's Shapley value is the mean of what it adds when the members come one after another, over
all orders (L. S. Shapley, "A value for n-person games", 1953). The values of all members sum to
the value of all together less that of none. Over a sample of orders it is estimated, with the same
sum (Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on sampling",
2009); with training data as members it is known from Ghorbani and Zou, "Data Shapley", 2019.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt

import numpy as np

Members = frozenset[str]
Value = Callable[[Members], float]
Order = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """What a member adds; ``error`` is the standard error of a sample, None of the exact value."""

    value: float
    error: float | None = None


def list_coalitions(members: Sequence[str]) -> list[Members]:
    """Return all 2^n sets of members, from none to all."""
    return [
        frozenset(chosen)
        for size in range(len(members) + 1)
        for chosen in combinations(members, size)
    ]


def list_prefixes(orders: Sequence[Order]) -> list[Members]:
    """Return the sets that stand at the beginning of an order, from none to all, each once."""
    sets = [frozenset(order[:size]) for order in orders for size in range(len(order) + 1)]
    return list(dict.fromkeys(sets))


def draw_orders(members: Sequence[str], count: int, rng: np.random.Generator) -> list[Order]:
    """Return orders in which all members come, at random."""
    return [tuple(members[place] for place in rng.permutation(len(members))) for _ in range(count)]


def compute_shapley(members: Sequence[str], value: Value) -> dict[str, Share]:
    """Return the exact Shapley values, from the values of all coalitions."""
    shares = dict.fromkeys(members, 0.0)
    for coalition in list_coalitions(members):
        for member in coalition:
            others = coalition - {member}
            # How often, of all orders, just these others come before the member.
            weight = 1 / (len(members) * comb(len(members) - 1, len(others)))
            shares[member] += weight * (value(coalition) - value(others))
    return {member: Share(share) for member, share in shares.items()}


def estimate_shapley(orders: Sequence[Order], value: Value) -> dict[str, Share]:
    """Return the mean of what members add over some orders; two at least give an error."""
    added: dict[str, list[float]] = {member: [] for member in sorted(orders[0])}
    for order in orders:
        for place, member in enumerate(order):
            before = frozenset(order[:place])
            added[member].append(value(before | {member}) - value(before))
    return {member: Share(float(np.mean(one)), _error(one)) for member, one in added.items()}


def _error(numbers: Sequence[float]) -> float | None:
    return float(np.std(numbers, ddof=1)) / sqrt(len(numbers)) if len(numbers) > 1 else None
