"""Whether a database is sound: the file itself, its tables, and rows against positions."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from server_classifier.store.backup.inventory import Inventory, take_inventory
from server_classifier.store.database import HEAD, describe, lift_limits, reading

_MOST_NAMED = 10

# Latents have no foreign keys, for the sake of speed (tables.py).
_UNEXPECTED = {
    "latents of clients that are not registered": (
        "SELECT count(*) FROM latent WHERE client_id NOT IN (SELECT client_id FROM client)"
    ),
    "latents of encoders that are not registered": (
        "SELECT count(*) FROM latent WHERE encoder_id NOT IN (SELECT encoder_id FROM encoder)"
    ),
    "latents with the messageID of another": (
        "SELECT count(*) - count(DISTINCT message_id) FROM latent"
    ),
}

_AHEAD = text("""
    SELECT latent.topic, latent.part, position.next_offset, max(kafka_offset), count(*)
    FROM latent LEFT JOIN position
    ON position.topic = latent.topic AND position.part = latent.part
    WHERE position.next_offset IS NULL OR kafka_offset >= position.next_offset
    GROUP BY latent.topic, latent.part, position.next_offset
    ORDER BY latent.topic, latent.part
""")


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check; ``findings`` is empty where all is well.

    Attributes:
        server: name and version of the database's program.
    """

    database: str
    server: str
    inventory: Inventory
    findings: list[str]


def check_database(engine: Engine) -> Report:
    """Check a database in one snapshot, while services use it.

    It reads all of an SQLite file, and the table of latents on PostgreSQL. With an engine of
    ``open_read_only`` it changes nothing.

    Raises:
        StoreError: it is so damaged that it cannot be read, or no database.
        StoreUnavailable: it does not answer.
    """
    with reading(engine) as connection:
        lift_limits(connection)
        inventory = take_inventory(connection)
        findings = find_damage(connection) if engine.dialect.name == "sqlite" else []
        if inventory.revision == HEAD:
            findings += _find_unexpected(connection) + _find_rows_ahead(connection)
        else:
            findings.append(_describe_revision(inventory.revision))
        version = ".".join(map(str, connection.dialect.server_version_info or ()))
    return Report(describe(engine), f"{engine.dialect.name} {version}", inventory, findings)


def find_damage(connection: Connection) -> list[str]:
    """Return the faults that SQLite finds in its file; it reads all of it."""
    check = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_NAMED})").scalars()
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [finding for finding in check if finding != "ok"] + [
        f"{table}: row {row} refers to a {parent} that is not there"
        for table, row, parent, _ in orphans[:_MOST_NAMED]
    ]


def _describe_revision(found: str | None) -> str:
    if found is None:
        return "there are no tables yet; `ioa database upgrade` makes them"
    return (
        f"the tables have revision {found} and this program {HEAD}; `ioa database upgrade` "
        "brings older ones up to date"
    )


def _find_unexpected(connection: Connection) -> list[str]:
    counts = {words: connection.scalar(text(query)) for words, query in _UNEXPECTED.items()}
    return [f"{count} {words}" for words, count in counts.items() if count]


def _find_rows_ahead(connection: Connection) -> list[str]:
    """Find rows at or behind their partition's position: both move together, so there are none."""
    return [
        f"{topic}[{partition}]: {count} rows up to offset {last}, but the position is "
        f"{'missing' if position is None else position}; unless an operator has just reset it, "
        "rows and positions are not of one moment"
        for topic, partition, position, last, count in connection.execute(_AHEAD)
    ]
