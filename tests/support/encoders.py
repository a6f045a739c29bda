"""A real encoder, trained in a second on generated images."""

from pathlib import Path

import torch

from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.training import train
from client_autoencoder.images.sets import digest
from schemas.models.manifest_fields import TrainingData
from tests.support.images import draw_images


def train_exit(directory: Path) -> Path:
    """Write an edge of 8x8 images with a local exit into a new directory and return it."""
    public = draw_images(150, side=8, seed=1)
    trained = train(
        public.images,
        ConvolutionConfig(1, 8, 8, maps=8),
        TrainingOptions(objective="exit", epochs=20),
        torch.Generator().manual_seed(0),
        labels=public.labels,
    )
    data = TrainingData("made", digest(public.images), len(public), "public")
    write_encoder(directory, trained, data)
    return directory


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
