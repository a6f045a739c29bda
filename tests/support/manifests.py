"""Manifests of encoders that were never trained."""

from schemas.models.manifest_fields import TrainingData
from schemas.models.network_manifest import Family, ImageInput, NetworkManifest, Output

_SIZES = {"maps": 8, "kernel": 5, "pool": 2, "hidden": 512}


def make_manifest(
    latent_dim: int = 4, *, side: int = 8, files: dict[str, str] | None = None
) -> NetworkManifest:
    """Return the manifest of an encoder; another ``latent_dim`` is another encoder."""
    return NetworkManifest(
        role="edge",
        family=Family("conv-autoencoder", _SIZES),
        input=ImageInput(channels=1, height=side, width=side),
        output=Output((latent_dim,), -3.0, 3.0, ("float32", "int8")),
        objective="reconstruction",
        training_data=TrainingData("digits", "a" * 64, images=600, origin="public"),
        files=files or {"network.onnx": "b" * 64},
    )
