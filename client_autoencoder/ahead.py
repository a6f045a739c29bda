"""Making the next item while the one before it is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def make_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield what ``items`` yields, and have the next one made in a thread meanwhile.

    It is worth a thread where an item is made outside Python: images are decoded and encoded while
    the messages of the batch before go to the disk. One item at most waits to be used.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        upcoming = thread.submit(next, items, None)
        while (item := upcoming.result()) is not None:
            upcoming = thread.submit(next, items, None)
            yield item
