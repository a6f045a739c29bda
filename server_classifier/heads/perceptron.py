"""A multilayer perceptron, by default of 256, 128 and 64 units.

Batch normalisation and dropout keep it from overfitting a small set.
"""

from torch import nn

from server_classifier.heads.network import HeadNetwork
from server_classifier.heads.settings import TrainingSettings


class Perceptron(HeadNetwork):
    """Latents [N, D] to logits [N, P], through the hidden layers of the settings."""

    def __init__(self, latent_dim: int, classes: int, settings: TrainingSettings) -> None:
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
        super().__init__(latent_dim, nn.Sequential(*layers, nn.Linear(width, classes)))

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers with the products, in order; only the last has a bias."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def norms(self) -> list[nn.BatchNorm1d]:
        """The batch normalisation of each hidden layer, in order."""
        return [layer for layer in self.layers if isinstance(layer, nn.BatchNorm1d)]
