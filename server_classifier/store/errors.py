"""What can go wrong with the database.

* StoreError(ServerError)
  + StoreUnavailable: may pass by itself (locked, full disk, server away): wait and try again
  + RegistryError: a client or encoder that contradicts what is registered
"""

from server_classifier.errors import ServerError


class StoreError(ServerError):
    """The database cannot be used as it is; trying again does not help."""


class StoreUnavailable(StoreError):
    """The database does not answer now; the same call may succeed later."""


class RegistryError(StoreError):
    """A client, site or encoder that contradicts what is registered."""
