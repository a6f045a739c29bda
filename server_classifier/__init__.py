"""The server: ingestion, training and answers.

Its names here are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from schemas.lazy_names import load_lazily

if TYPE_CHECKING:
    from server_classifier.errors import ServerError
    from server_classifier.heads.latent_classifier import LatentClassifier
    from server_classifier.heads.settings import TrainingSettings
    from server_classifier.operations.registration import register_client
    from server_classifier.settings import ServerSettings

__all__ = [
    "LatentClassifier",
    "ServerError",
    "ServerSettings",
    "TrainingSettings",
    "register_client",
]

_ROOMS = {
    "LatentClassifier": "heads.latent_classifier",
    "ServerError": "errors",
    "ServerSettings": "settings",
    "TrainingSettings": "heads.settings",
    "register_client": "operations.registration",
}

if not TYPE_CHECKING:
    __getattr__ = load_lazily(__name__, _ROOMS)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
