"""To tell images apart whatever their augmentation, without labels: numbers on the unit sphere.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020
(SimCLR), equation 1, without their projection head: what is compared is what is released.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from client_autoencoder.encoders.edge import Edge, draw_weights
from client_autoencoder.encoders.families import convolution
from client_autoencoder.encoders.fitting import OnEpoch, TrainingOptions, fit, run
from client_autoencoder.encoders.int8_weights import round_edge
from client_autoencoder.encoders.objectives.objective import Fitted, Objective, Split
from client_autoencoder.images.augmentation import Augmentation, augment

EMBEDDING = 32
_TEMPERATURE = 0.2
_STRONG = Augmentation(rotation=20.0, shift=0.1, scale=0.2, elastic=0.04)


def fit_contrastive(
    edge: Edge,
    split: Split,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None,
) -> Fitted:
    """Train the edge to make of two copies of an image what lies nearer than all other images.

    ``retrieval`` is the share of held-out images whose copy is nearest to the image itself.
    """
    draw_weights(edge, generator)
    views = _TwoViews(edge, np.random.default_rng(_draw_seed(generator)))
    pairs = split.training, split.training
    fit(views, pairs, options, generator, on_epoch, loss_of=contrast)
    round_edge(edge, options.weights)
    similar = run(edge, split.held_out) @ run(edge, views.change(split.held_out)).T
    hits = similar.argmax(dim=1) == torch.arange(len(similar))
    return Fitted({"retrieval": float(hits.float().mean())}, quality=1.0)


class _TwoViews(nn.Module):
    """Images [N, C, H, W] to what the edge makes of two changed copies of each, [2, N, D]."""

    def __init__(self, edge: Edge, rng: np.random.Generator) -> None:
        super().__init__()
        self.edge = edge
        self._rng = rng

    def forward(self, images: Tensor) -> Tensor:
        copies = torch.cat([self.change(images), self.change(images)])
        values: Tensor = self.edge(copies).reshape(2, len(images), -1)
        return values

    def change(self, images: Tensor) -> Tensor:
        """Return one augmented copy of each image."""
        return torch.from_numpy(augment(images.numpy(), 1, self._rng, _STRONG)[:, 0])


def contrast(views: Tensor, _: Tensor) -> Tensor:
    """Return the mean NT-Xent loss of views [2, N, D] on the unit sphere."""
    count = views.shape[1]
    values = views.reshape(2 * count, -1)
    logits = values @ values.T / _TEMPERATURE
    others = logits.masked_fill(torch.eye(2 * count, dtype=torch.bool), -torch.inf)
    return cross_entropy(others, torch.arange(2 * count).roll(count))


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


CONTRASTIVE = Objective(
    fit_contrastive,
    family=convolution.FAMILY,
    labelled=False,
    loss="NT-Xent",
    batch_size=128,  # the other images of a batch are what an image is told from
    numbers=EMBEDDING,
)
