"""A real encoder, trained in a second on generated images."""

from pathlib import Path

import torch

from client_autoencoder.encoders.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.training import TrainingOptions, train
from client_autoencoder.images.sets import digest
from schemas.models.manifest_fields import TrainingData
from tests.support.images import draw_images


def train_encoder(directory: Path, *, latent_dim: int = 6) -> Path:
    """Write an encoder of 8x8 images into a new directory and return it."""
    public = draw_images(90, side=8, seed=1)
    trained = train(
        public.images,
        AutoencoderConfig(8, 8, latent_dim, hidden=32),
        TrainingOptions(epochs=20),
        torch.Generator().manual_seed(0),
    )
    data = TrainingData("made", digest(public.images), len(public), "public")
    write_encoder(directory, trained, data)
    return directory
