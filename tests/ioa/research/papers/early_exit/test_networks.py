"""Split training is central training: both parts get the gradients of one network."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ioa.research.papers.early_exit.networks import Networks, split_backward
from ioa.research.papers.early_exit.seconds import measure_seconds

IMAGES = (1, 8, 8)
CLASSES = 3


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand((count, *IMAGES), generator=generator)
    return images, torch.arange(count) % CLASSES


def list_gradients(*networks: nn.Module) -> list[torch.Tensor]:
    found = [weights.grad for network in networks for weights in network.parameters()]
    assert None not in found
    return [gradient.clone() for gradient in found if gradient is not None]


def test_split_training_has_the_gradients_of_the_centre() -> None:
    images, targets = draw(16)
    split = Networks.draw(IMAGES, CLASSES, seed=0)
    torch.manual_seed(2)  # of dropout
    loss = split_backward(split.edge, split.main, images, targets)
    centre = Networks.draw(IMAGES, CLASSES, seed=0)
    torch.manual_seed(2)
    whole = cross_entropy(centre.main(centre.edge(images)), targets)
    whole.backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(loss, whole, atol=1e-6)
    pairs = zip(
        list_gradients(split.edge, split.main),
        list_gradients(centre.edge, centre.main),
        strict=True,
    )
    for ours, theirs in pairs:
        assert float(theirs.abs().max()) > 0
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


def test_every_part_takes_time() -> None:
    seconds = measure_seconds(Networks.draw(IMAGES, CLASSES, seed=0), *draw(128))
    assert set(seconds) == {"edge_exit", "edge_split", "main", "edge_forward"}
    assert 0 < seconds["edge_forward"] < seconds["edge_split"]
