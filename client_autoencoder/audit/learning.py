"""How attackers learn: a network behind a standardiser, from releases to the truth."""

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.fitting import Loss, TrainingOptions, fit
from stream.threads import one_thread

_MIN_SPREAD = 1e-6


def learn(
    network: nn.Module,
    pairs: tuple[Tensor, Tensor],
    options: TrainingOptions,
    generator: torch.Generator,
    loss_of: Loss = mse_loss,
) -> nn.Module:
    """Return the network behind a standardiser, trained from new weights on releases and truths."""
    draw_weights(network, generator)
    attacker = nn.Sequential(Standardiser(pairs[0]), network)
    # Where the caller has switched gradients off, the attack would be silently weak.
    with one_thread(torch), torch.enable_grad():
        fit(attacker, pairs, options, generator, loss_of=loss_of)
    return attacker


class Standardiser(nn.Module):
    """Gives each number of latents [N, D], or each map of [N, C, H, W], mean 0 and deviation 1.

    What never changes in public releases is only centred.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, released: Tensor) -> None:
        super().__init__()
        alike = [0, *range(2, released.dim())]
        scale = released.std(dim=alike, keepdim=True)
        self.register_buffer("mean", released.mean(dim=alike, keepdim=True))
        self.register_buffer("scale", torch.where(scale > _MIN_SPREAD, scale, 1.0))

    def forward(self, released: Tensor) -> Tensor:
        return (released - self.mean) / self.scale
