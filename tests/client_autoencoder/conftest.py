"""One autoencoder, trained once on made images, for all tests of the client."""

from pathlib import Path

import pytest
import torch

from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.training import TrainedEncoder, train
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.images.sets import digest
from schemas.models.manifest_fields import TrainingData
from tests.support.images import draw_images


@pytest.fixture(scope="session")
def public_images() -> ImageBatch:
    return draw_images(150, side=9, seed=1)


@pytest.fixture(scope="session")
def trained(public_images: ImageBatch) -> TrainedEncoder:
    config = AutoencoderConfig(9, 9, 6, hidden=64)
    generator = torch.Generator().manual_seed(3)
    return train(public_images.images, config, TrainingOptions(epochs=60), generator)


@pytest.fixture(scope="session")
def encoder_directory(
    trained: TrainedEncoder,
    public_images: ImageBatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    directory = tmp_path_factory.mktemp("encoders") / "made"
    data = TrainingData("made", digest(public_images.images), len(public_images), "public")
    write_encoder(directory, trained, data)
    return directory
