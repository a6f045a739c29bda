"""The errors of the client.

* ClientError
  x OutboxError
    . OutboxFull
    . OutboxInUse
"""


class ClientError(Exception):
    """Base of all errors of this package; the text says what to do next."""


class OutboxError(ClientError):
    """The outbox file cannot be used."""


class OutboxFull(OutboxError):
    """A limit of the outbox is reached, or the disk is full; what it holds is safe."""


class OutboxInUse(OutboxError):
    """Another process uses this outbox."""
