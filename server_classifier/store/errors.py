"""What can go wrong with the database.

* StoreError(ServerError)
  + StoreUnavailable: may pass by itself (locked, full disk, server away): wait and try again
  + RegistryError: a client or encoder that contradicts what is registered
  + PositionError: what was read does not fit what Kafka holds; an operator must decide
  + PositionLost: another process reads the partition now
  + ReplayRefused: a replay and what else a database holds do not belong together
  + DatasetError: a dataset that is not there, is another one, or lost members
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
    """Another process took a partition over; nothing of the transaction was kept."""


class ReplayRefused(StoreError):
    """A replay has no place in this database, or it is that of another replay."""


class DatasetError(StoreError):
    """A dataset or its snapshot is missing, contradicts another, or no longer holds."""
