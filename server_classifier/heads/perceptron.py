"""The classifier of latents: a multilayer perceptron, by default of 256, 128 and 64 units.

Batch normalisation and dropout keep it from overfitting a small set.
"""

import torch
from torch import Tensor, nn

from server_classifier.heads.settings import TrainingSettings


class LatentClassifier(nn.Module):
    """Latents [N, D] to logits [N, P]; the standardiser is its first layer."""

    mean: Tensor  # [D]
    scale: Tensor  # [D]

    def __init__(self, latent_dim: int, classes: int, settings: TrainingSettings) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        layers: list[nn.Module] = []
        width = latent_dim
        for units in settings.hidden:
            layers += [
                nn.Linear(width, units, bias=False),  # batch normalisation would cancel a bias
                nn.BatchNorm1d(units),
                nn.ReLU(),
                nn.Dropout(settings.dropout),
            ]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers with the products, in order; only the last has a bias."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def norms(self) -> list[nn.BatchNorm1d]:
        """The batch normalisation of each hidden layer, in order."""
        return [layer for layer in self.layers if isinstance(layer, nn.BatchNorm1d)]

    def forward(self, latents: Tensor) -> Tensor:
        logits: Tensor = self.layers((latents - self.mean) / self.scale)
        return logits
