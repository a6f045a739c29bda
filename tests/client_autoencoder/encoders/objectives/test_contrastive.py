"""Without labels, images of a kind come to lie beside each other."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.fitting import TrainingOptions, run
from client_autoencoder.encoders.objectives.contrastive import contrast
from client_autoencoder.encoders.training import train
from tests.support.images import draw_images

OPTIONS = TrainingOptions(objective="contrastive", epochs=30)


def test_the_nearest_image_has_the_same_label() -> None:
    images, config = draw_images(300, side=12, seed=1), ConvolutionConfig(1, 12, 12, embedding=8)
    trained = train(images.images, config, OPTIONS, torch.Generator().manual_seed(0))
    assert trained.fitted.scores["retrieval"] > 0.3  # by chance 1 of 30
    unseen = draw_images(100, side=12, seed=2)
    values = run(trained.edge, torch.from_numpy(unseen.images))
    torch.testing.assert_close(values.norm(dim=1), torch.ones(100))
    similar = (values @ values.T).fill_diagonal_(-1).argmax(dim=1)
    labels = np.array(unseen.labels)
    assert (labels == labels[similar]).mean() > 0.85


def test_the_same_seed_gives_the_same_bits() -> None:
    images, config = draw_images(150, side=8).images, ConvolutionConfig(1, 8, 8, embedding=4)
    options = TrainingOptions(objective="contrastive", epochs=2)
    first, again, other = (
        train(images, config, options, torch.Generator().manual_seed(seed)).values
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_loss_is_that_of_the_paper() -> None:
    views = normalize(torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)), dim=2)
    values = views.reshape(10, 3).numpy()
    similar = np.exp(values @ values.T / 0.2)
    partners = np.roll(np.arange(10), 5)
    losses = [
        -np.log(similar[i, partners[i]] / (similar[i].sum() - similar[i, i])) for i in range(10)
    ]
    assert float(contrast(views, views)) == pytest.approx(np.mean(losses), rel=1e-5)
