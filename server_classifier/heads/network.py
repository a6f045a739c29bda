"""The network that a head becomes: latents [N, D] to logits [N, P]."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from server_classifier.heads.values import Values, read, split
from stream.threads import one_thread


class HeadNetwork(nn.Module):
    """A standardiser, then the layers of a head; maps come as rows of D = C * H * W numbers."""

    mean: Tensor  # [D]
    scale: Tensor  # [D]

    def __init__(self, latent_dim: int, layers: nn.Sequential) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        self.layers = layers

    @property
    def classes(self) -> int:
        """The number P of classes."""
        (*_, last) = (layer for layer in self.layers if isinstance(layer, nn.Linear))
        return last.out_features

    def forward(self, latents: Tensor) -> Tensor:
        logits: Tensor = self.layers((latents - self.mean) / self.scale)
        return logits

    def predict_proba(self, values: Values) -> NDArray[np.float32]:
        """Return the probabilities [N, P] for latents [N, D] or maps [N, C, H, W]."""
        found = np.empty((len(values), self.classes), np.float32)
        with torch.no_grad(), one_thread(torch):
            for rows in split(len(values)):
                found[rows] = self(read(values, rows)).softmax(dim=1).numpy()
        return found
