"""The gradients that are written out are those of the classifier itself, as torch derives them."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from server_classifier.dropout import Dropout
from server_classifier.latent_classifier import LatentClassifier
from server_classifier.network_stack import NetworkStack, widen, widen_columns
from server_classifier.training_settings import TrainingSettings

ROWS, LATENT_DIM, CLASSES = 50, 7, 3
SETTINGS = TrainingSettings(hidden=(20, 9), dropout=0.0)


class Given(torch.nn.Module):
    """Dropout with factors that are given."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs * self.factors


def make_models(count: int) -> list[LatentClassifier]:
    torch.manual_seed(0)
    models = [LatentClassifier(LATENT_DIM, CLASSES, SETTINGS) for _ in range(count)]
    for model in models:
        for norm in model.norms:
            torch.nn.init.normal_(norm.weight, 1, 0.2)
            torch.nn.init.normal_(norm.bias, 0, 0.2)
    return models


def draw_factors(networks: int) -> tuple[Tensor, ...]:
    rngs = [np.random.Generator(np.random.SFC64(seed)) for seed in range(networks)]
    return Dropout([0.3] * networks, rngs, [widen(units) for units in SETTINGS.hidden]).draw(ROWS)


def test_gradients_and_statistics_are_those_of_the_models() -> None:
    models = make_models(2)
    stack, factors = NetworkStack(models), draw_factors(2)
    latents, targets = torch.randn(2, ROWS, LATENT_DIM), torch.randint(CLASSES, (2, ROWS))
    padded = torch.stack([widen_columns(one) for one in latents], dim=1)
    losses = stack.compute_gradients(padded, targets.T, factors)
    stack.weights -= 0.5 * stack.gradients
    for number, model in enumerate(models):
        places = [n for n, layer in enumerate(model.layers) if isinstance(layer, torch.nn.Dropout)]
        for place, drawn, units in zip(places, factors, SETTINGS.hidden, strict=True):
            model.layers[place] = Given(drawn[:, number, :units])
        loss = cross_entropy(model.train()(latents[number]), targets[number])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(losses[number], loss.detach())
    expected = [[part - 0.5 * part.grad for part in model.parameters()] for model in models]  # type: ignore[operator]
    statistics = [[part.clone() for part in model.buffers()] for model in models]
    stack.write_back()
    for model, parts, seen in zip(models, expected, statistics, strict=True):
        for part, wanted in zip(model.parameters(), parts, strict=True):
            torch.testing.assert_close(part.detach(), wanted.detach(), rtol=1e-4, atol=1e-6)
        for part, wanted in zip(model.buffers(), seen, strict=True):
            torch.testing.assert_close(part, wanted)


def test_what_a_stack_adds_to_fill_a_line_stays_zero() -> None:
    stack, factors = NetworkStack(make_models(1)), draw_factors(1)
    latents, targets = torch.randn(ROWS, 1, widen(LATENT_DIM)), torch.randint(CLASSES, (ROWS, 1))
    latents[..., LATENT_DIM:] = 0
    stack.compute_gradients(latents, targets, factors)
    learned = sum(part.numel() for part in stack._models[0].parameters())  # noqa: SLF001
    assert int((stack.gradients != 0).sum()) <= learned < stack.gradients.numel()


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    rngs = [np.random.Generator(np.random.SFC64(seed)) for seed in range(3)]
    first, second = Dropout([0.3, 0.0, 0.9], rngs, [128, 64]).draw(1000)
    assert (first.shape, second.shape) == ((1000, 3, 128), (1000, 3, 64))
    lost = (first == 0).float().mean(dim=(0, 2))
    torch.testing.assert_close(lost, torch.tensor([0.3, 0.0, 0.9]), rtol=0, atol=0.01)
    torch.testing.assert_close(first.mean(dim=(0, 2)), torch.ones(3), rtol=0, atol=0.05)
    assert (first[:, 1] == 1).all()
