"""What can go wrong at the client.

* ClientError
"""


class ClientError(Exception):
    """Base of all errors of this package; the text says what to do next."""
