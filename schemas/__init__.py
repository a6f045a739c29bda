"""The contract between client and server: messages, manifests of models, vectors.

Its names here are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.errors import SchemaError
    from schemas.messages.latent import LatentMessage
    from schemas.models.encoder_manifest import EncoderManifest

__all__ = [
    "EncoderManifest",
    "LatentMessage",
    "SchemaError",
]

_ROOMS = {
    "EncoderManifest": "models.encoder_manifest",
    "LatentMessage": "messages.latent",
    "SchemaError": "errors",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
