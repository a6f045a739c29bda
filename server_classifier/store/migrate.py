"""Bringing the tables to the newest revision with alembic (``migrations/versions``)."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from server_classifier.store.database import (
    HEAD,
    current_revision,
    describe,
    lift_limits,
    writing,
)
from server_classifier.store.errors import StoreError

MIGRATION_LOCK = 0x10A  # any number, the same in every process


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, in one transaction; do nothing when none is.

    Several processes may call it at once: the first does the work while the others wait.

    Raises:
        StoreError: a newer program made the tables.
        StoreUnavailable: the database does not answer.
    """
    refuse_newer(current_revision(engine), describe(engine))
    with writing(engine) as connection:
        migrate(connection, "head")


def migrate(connection: Connection, revision: str) -> None:
    """Run the migrations up to ``revision`` in a ``writing`` transaction."""
    wait_for_turn(connection)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def alembic_config() -> Config:
    """Return alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", "server_classifier.store:migrations")
    return config


def refuse_newer(found: str | None, name: str) -> None:
    """Raise StoreError where the tables of the database ``name`` are of an unknown revision."""
    scripts = ScriptDirectory.from_config(alembic_config())
    if found not in (None, *(script.revision for script in scripts.walk_revisions())):
        raise StoreError(
            f"the database {name} has revision {found}, made by a newer program; this one knows "
            f"up to {HEAD}: install the newer one, or name another database"
        )


def wait_for_turn(connection: Connection) -> None:
    """Let one transaction at a time change the tables, however long it takes."""
    lift_limits(connection)
    # On SQLite the transaction itself has already waited for the only write lock.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
