"""Bringing the tables to the newest revision with alembic (``migrations/versions``)."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from server_classifier.store.database import current_revision, writing
from server_classifier.store.errors import StoreError

MIGRATION_LOCK = 0x10A  # any number, the same in every process


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, in one transaction; do nothing when none is.

    Several processes may call it at once: the first does the work while the others wait.

    Raises:
        StoreError: a newer program made the tables.
        StoreUnavailable: the database does not answer.
    """
    config = alembic_config()
    _refuse_newer(engine, ScriptDirectory.from_config(config))
    with writing(engine) as connection:
        _wait_for_turn(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def alembic_config() -> Config:
    """Return alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", "server_classifier.store:migrations")
    return config


def _refuse_newer(engine: Engine, scripts: ScriptDirectory) -> None:
    found = current_revision(engine)
    known = [script.revision for script in scripts.walk_revisions()]
    if found is not None and found not in known:
        name = engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f"the database {name} has revision {found}, made by a newer program; this one knows "
            f"up to {known[0]}: install the newer one, or name another database"
        )


def _wait_for_turn(connection: Connection) -> None:
    # On SQLite the transaction itself has already waited for the only write lock.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # a migration takes its time
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
