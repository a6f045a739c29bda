"""What can go wrong at the server.

* ServerError
"""


class ServerError(Exception):
    """Base of all errors of this package; the text says what to do next."""
