"""The server: ingestion, training and answers.

Its names here are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server_classifier.errors import ServerError
    from server_classifier.operations.registration import register_client
    from server_classifier.settings import ServerSettings

__all__ = [
    "ServerError",
    "ServerSettings",
    "register_client",
]

_ROOMS = {
    "ServerError": "errors",
    "ServerSettings": "settings",
    "register_client": "operations.registration",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
