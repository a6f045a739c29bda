"""Everything that knows Kafka.

Its names here are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.errors import StreamError
    from stream.kafka.settings import KafkaSettings

__all__ = [
    "KafkaSettings",
    "StreamError",
]

_ROOMS = {
    "KafkaSettings": "kafka.settings",
    "StreamError": "errors",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
