"""What can go wrong with the database.

* StoreError(ServerError)
  x StoreUnavailable: may pass by itself (locked, full disk, server away): wait and try again
  x RegistryError: a client or encoder that contradicts what is registered
  x PositionError: what was read does not fit what Kafka holds; an operator must decide
  x PositionLost: another process reads the partition now
  x ReplayRefused: a replay does not belong into this database
  x DatasetError: a dataset that is missing, is another one, or lost members
"""

from server_classifier.errors import ServerError


class StoreError(ServerError):
    """The database cannot be used as it is; trying again does not help."""


class StoreUnavailable(StoreError):
    """The database does not answer now; the same call may succeed later."""

    dependency = "database"


class RegistryError(StoreError):
    """A client, site or encoder that contradicts what is registered."""


class PositionError(StoreError):
    """Records between the database's position and what Kafka holds are gone, or never were."""


class PositionLost(StoreError):
    """Another process took over a partition; nothing of the transaction was stored."""


class ReplayRefused(StoreError):
    """A replay does not belong into this database, or the database is that of another replay."""


class DatasetError(StoreError):
    """A dataset or its snapshot is missing, contradicts another, or no longer holds."""
