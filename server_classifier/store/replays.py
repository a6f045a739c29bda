"""The row that distinguishes a database filled by a replay from a live one."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import URL, Connection, Engine, exists, insert, inspect, make_url, select, update

from server_classifier.store.backup.inventory import find_tables
from server_classifier.store.database import describe, open_read_only, reading
from server_classifier.store.datasets.members import find_members, split_members
from server_classifier.store.errors import ReplayRefused
from server_classifier.store.latents.revisions import compute_digest
from server_classifier.store.latents.selection import Selection
from server_classifier.store.tables import metadata, replay

_ID = 1


class ReplayRow(NamedTuple):
    """The request and the report of a replay, both JSON; the last two are None until its end."""

    request: str
    report: str
    digest: str | None
    started_at: datetime
    finished_at: datetime | None


def find_replay(connection: Connection) -> ReplayRow | None:
    """Return the replay that a database with current tables holds; None in a live one."""
    row = connection.execute(select(*(replay.c[name] for name in ReplayRow._fields))).first()
    return None if row is None else ReplayRow._make(row)


def inspect_target(target: Engine) -> ReplayRow | None:
    """Return the replay that a database holds, or None where it is empty or not there yet.

    The database is only read.

    Raises:
        ReplayRefused: it holds something that no replay has put there.
        StoreError: it is no database, or does not answer.
    """
    if target.dialect.name == "sqlite" and not Path(target.url.database or "").exists():
        return None
    engine = open_read_only(target.url)
    try:
        with reading(engine) as connection:
            if replay.name in find_tables(connection) and (found := find_replay(connection)):
                return found
            refuse_used(connection, describe(target))
    finally:
        engine.dispose()
    return None


def refuse_live(target: Engine, live: str) -> None:
    """Raise ReplayRefused where the target is the database at the address ``live``."""
    if _locate(target.url) == _locate(make_url(live)):
        raise ReplayRefused(
            f"{describe(target)} is the live database; a replay needs a new one of its own"
        )


def refuse_used(connection: Connection, name: str) -> None:
    """Raise ReplayRefused where a database that holds no replay holds anything else.

    A database with only empty tables of our own counts as empty.
    """
    ours = [metadata.tables[name] for name in find_tables(connection)]
    used = [table.name for table in ours if connection.scalar(select(exists().select_from(table)))]
    others = set(inspect(connection).get_table_names()) - {table.name for table in ours}
    if used := used + sorted(others - {"alembic_version"}):
        raise ReplayRefused(
            f"{name} was not filled by a replay and is not empty (there is "
            f"{', '.join(used)}): name a new database, such as --into sqlite:///replay.db"
        )


def begin_replay(connection: Connection, begun: ReplayRow) -> None:
    """Insert the row of a replay into an empty database."""
    connection.execute(insert(replay).values(begun._asdict() | {"id": _ID}))


def update_report(connection: Connection, report: str) -> None:
    """Store how far a replay is, in the transaction of its rows."""
    connection.execute(update(replay).values(report=report))


def finish_replay(connection: Connection, digest: str, *, now: datetime) -> None:
    """Store the digest of a replay that has read all of its window."""
    connection.execute(update(replay).values(digest=digest, finished_at=now))


def compute_latents_digest(connection: Connection) -> str:
    """Return the digest of all latents; a dataset of all of them has the same."""
    members = find_members(connection, Selection(), lambda _: None)
    return compute_digest(split_members(members))


def refuse_replay(engine: Engine) -> None:
    """Raise ReplayRefused where a database, with current tables, holds a replay."""
    with reading(engine) as connection:
        if find_replay(connection) is not None:
            raise ReplayRefused(
                f"{describe(engine)} was filled by a replay, and is for training and experiments "
                "only: live messages would mix with it. Name the live database"
            )


def refuse_replay_of(engine: Engine, cluster_id: str) -> None:
    """Raise ReplayRefused where a database holds a replay of this very cluster."""
    with reading(engine) as connection:
        found = find_replay(connection)
    if found is not None and orjson.loads(found.request)["cluster_id"] == cluster_id:
        raise ReplayRefused(
            f"{describe(engine)} was filled by a replay of this cluster, whose clients would be "
            "answered by an experiment. Name the live database, or another cluster"
        )


def _locate(url: URL) -> tuple[object, ...]:
    """Return where a database is, the same for all forms of its address."""
    if url.get_backend_name() == "sqlite":
        return (Path(url.database or "").resolve(),)
    host = url.host or url.query.get("host") or "localhost"
    return (host, url.port or 5432, url.database)
