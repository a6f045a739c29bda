"""The contract between client and server: messages, manifests of models, vectors.

Its names here are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from schemas.lazy_names import load_lazily

if TYPE_CHECKING:
    from schemas.errors import SchemaError
    from schemas.messages.latent import LatentMessage
    from schemas.models.network_manifest import NetworkManifest

__all__ = [
    "LatentMessage",
    "NetworkManifest",
    "SchemaError",
]

_ROOMS = {
    "LatentMessage": "messages.latent",
    "NetworkManifest": "models.network_manifest",
    "SchemaError": "errors",
}

if not TYPE_CHECKING:
    __getattr__ = load_lazily(__name__, _ROOMS)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
