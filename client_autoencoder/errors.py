"""The errors of the client.

* ClientError
  x InputError
  x ClientClosed
  x OutboxError
    . OutboxFull
    . OutboxInUse
"""


class ClientError(Exception):
    """Base of all errors of this package; the text says what to do next.

    Kafka's are ``stream.StreamError``, those of a message ``schemas.SchemaError``.

    Example:
        >>> from client_autoencoder import Client, ClientError
        >>> try:
        ...     Client(client_id="radiology-1").publish(images, labels)
        ... except ClientError as error:
        ...     print(error)
        this client has no encoder: name its directory, Client(encoder=...)
    """


class InputError(ClientError):
    """Options, images or labels that cannot be used. Nothing was sent.

    Example:
        >>> from client_autoencoder import InputError
        >>> try:
        ...     client.publish(images, labels[1:])
        ... except InputError as error:
        ...     print(error)
        29 labels for 30 images: name one for each
    """


class ClientClosed(ClientError):
    """The client was closed, by ``close`` or at the end of its ``with`` block."""


class OutboxError(ClientError):
    """The outbox file cannot be used."""


class OutboxFull(OutboxError):
    """A limit of the outbox is reached, or the disk is full; what it holds is safe."""


class OutboxInUse(OutboxError):
    """Another process, or another ``Client``, uses this outbox.

    Example:
        >>> from client_autoencoder import Client, OutboxInUse
        >>> options = dict(client_id="radiology-1", bootstrap_servers="127.0.0.1:9092")
        >>> with Client(**options) as first, Client(**options) as second:
        ...     report = first.drain()
        ...     try:
        ...         second.drain()
        ...     except OutboxInUse as error:
        ...         print(error)
        outbox ioa-outbox/radiology-1...db is in use by process ...
    """
