"""A site: images to latents, messages, and answers.

``Client`` is where to begin. Its names here are loaded when they are first used: importing the
package costs nothing.
"""

from typing import TYPE_CHECKING

from schemas.lazy_names import load_lazily

if TYPE_CHECKING:
    from client_autoencoder.client import Client
    from client_autoencoder.errors import ClientError, InputError, OutboxInUse
    from client_autoencoder.exchanges.answers import Answers
    from client_autoencoder.exchanges.learning import LearningReport
    from client_autoencoder.exchanges.service import ServiceReport
    from client_autoencoder.privacy.mechanism import GaussianMechanism, system_noise

__all__ = [
    "Answers",
    "Client",
    "ClientError",
    "GaussianMechanism",
    "InputError",
    "LearningReport",
    "OutboxInUse",
    "ServiceReport",
    "system_noise",
]

_ROOMS = {
    "Answers": "exchanges.answers",
    "Client": "client",
    "ClientError": "errors",
    "GaussianMechanism": "privacy.mechanism",
    "InputError": "errors",
    "LearningReport": "exchanges.learning",
    "OutboxInUse": "errors",
    "ServiceReport": "exchanges.service",
    "system_noise": "privacy.mechanism",
}

if not TYPE_CHECKING:
    __getattr__ = load_lazily(__name__, _ROOMS)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
