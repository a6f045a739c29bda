"""What can go wrong at the server.

* ServerError
  x AddressUnusable
"""


class ServerError(Exception):
    """Base of all errors of this package; the text says what to do next.

    Example:
        >>> from datetime import UTC, datetime
        >>> from server_classifier import ServerError, register_client
        >>> from stream import KafkaSettings
        >>> kafka = KafkaSettings(bootstrap_servers="127.0.0.1:9092")
        >>> now = datetime.now(UTC)
        >>> try:
        ...     register_client(engine, kafka, client_id="radiology-1", site="elsewhere", now=now)
        ... except ServerError as error:
        ...     print(error)
        client radiology-1 belongs to site st-mary and cannot also belong to elsewhere; register ...
    """


class AddressUnusable(ServerError):
    """Health and metrics cannot be served at the address in the settings."""
