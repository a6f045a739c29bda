"""The server: ingestion, training and answers.

Its names here are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from schemas.lazy_names import load_lazily

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
    __getattr__ = load_lazily(__name__, _ROOMS)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
