"""The next item is made while the one before it is used."""

from collections.abc import Iterator
from threading import Event

import pytest

from client_autoencoder.ahead import make_ahead


def test_items_come_in_their_order() -> None:
    assert list(make_ahead(iter(range(1, 6)))) == [1, 2, 3, 4, 5]
    assert list(make_ahead(iter(()))) == []


def test_the_next_one_is_made_before_it_is_asked_for() -> None:
    made = Event()

    def make() -> Iterator[str]:
        yield "first"
        made.set()
        yield "second"

    items = make_ahead(make())
    assert next(items) == "first"
    assert made.wait(30)
    assert next(items) == "second"


def test_at_most_one_waits() -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(1, 9):
            made.append(number)
            yield number

    items = make_ahead(make())
    next(items)
    items.close()
    assert made == [1, 2]


def test_what_goes_wrong_is_raised_where_items_are_used() -> None:
    def make() -> Iterator[int]:
        yield 1
        raise ValueError("the second is damaged")

    items = make_ahead(make())
    assert next(items) == 1
    with pytest.raises(ValueError, match="the second is damaged"):
        next(items)
