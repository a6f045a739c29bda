"""What can go wrong at the server.

* ServerError
  x AddressUnusable
"""


class ServerError(Exception):
    """Base of all errors of this package; the text says what to do next."""


class AddressUnusable(ServerError):
    """Health and metrics cannot be served at the address in the settings."""
