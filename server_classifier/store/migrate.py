"""Running the migrations of the tables (``migrations/versions``) with alembic."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from server_classifier.store.errors import StoreError


def migrate(connection: Connection, revision: str) -> None:
    """Run the missing migrations up to ``revision`` in a ``writing`` transaction."""
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def refuse_newer(revision: str | None, name: str) -> None:
    """Raise StoreError where the tables of the database ``name`` are of an unknown revision."""
    scripts = ScriptDirectory.from_config(alembic_config())
    if revision not in (None, *(script.revision for script in scripts.walk_revisions())):
        raise StoreError(
            f"the database {name} has revision {revision}, made by a newer program; this one knows "
            f"up to {scripts.get_current_head()}: install the newer one, or name another database"
        )


def alembic_config() -> Config:
    """Return alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", "server_classifier.store:migrations")
    return config
