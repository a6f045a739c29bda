"""Everything that knows Kafka.

Its names here are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from schemas.lazy_names import load_lazily

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
    __getattr__ = load_lazily(__name__, _ROOMS)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
