"""Outages of the broker and the databases."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from sqlalchemy import make_url

from stream.broker.embedded import EmbeddedBroker
from tests.support.broker import kill_broker
from tests.support.postgres import Postgres

Outage = Callable[[], AbstractContextManager[None]]


@contextmanager
def broker_away(broker: EmbeddedBroker) -> Iterator[None]:
    """Kill Kafka, and start it again after the block."""
    kill_broker(broker)
    try:
        yield
    finally:
        broker.start()


@contextmanager
def postgres_away(server: Postgres) -> Iterator[None]:
    """Kill PostgreSQL, and start it again after the block."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def sqlite_away(url: str) -> Iterator[None]:
    """Lock an SQLite file during the block, as a program with a long transaction does."""
    with closing(sqlite3.connect(make_url(url).database or "", timeout=60)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield
