"""Each attacker succeeds on what is released unprotected, and is at its floor on pure noise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from client_autoencoder.audit.attack import Figures, Known, Target
from client_autoencoder.audit.registry import ATTACKS, find_attack
from client_autoencoder.encoders.edge import Edge, draw_weights
from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.fitting import TrainingOptions, run
from client_autoencoder.encoders.training import TrainedEncoder
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from tests.support.images import draw_images

PUBLIC, VICTIMS = draw_images(300, side=9, seed=1), draw_images(240, side=9, seed=99)
OPTIONS = TrainingOptions(epochs=20)
OF_LATENTS, OF_MAPS = "latents", "maps"

Encode = Callable[[ImageBatch], np.ndarray]


@pytest.fixture(params=[OF_LATENTS, OF_MAPS])
def encode(request: pytest.FixtureRequest, trained: TrainedEncoder) -> Encode:
    edge = trained.edge if request.param == OF_LATENTS else draw_maps_network()
    return lambda batch: run(edge, torch.from_numpy(batch.images)).numpy()


def draw_maps_network() -> Edge:
    """Random convolutions: their maps keep what an image shows."""
    edge = ConvolutionConfig(1, 9, 9, maps=8, blocks=1).build()
    draw_weights(edge, torch.Generator().manual_seed(0))
    return edge.eval()


def is_dark(batch: ImageBatch) -> np.ndarray:
    """An attribute that has nothing to do with the label."""
    return np.where(batch.images.max(axis=(1, 2, 3)) < 0.85, "dark", "light")


def list_truth(attack: str, batch: ImageBatch, encodings: np.ndarray) -> np.ndarray:
    return {
        "reconstruction": batch.images,
        "label": np.array(batch.labels),
        "attribute": is_dark(batch),
        "reidentification": encodings,
    }[attack]


def make_target(attack: str, encode: Encode, protect: Callable = lambda values: values) -> Target:
    public, victims = (
        Known(protect(values), list_truth(attack, batch, values), np.array(batch.labels))
        for batch, values in ((batch, encode(batch)) for batch in (PUBLIC, VICTIMS))
    )
    return Target(public, victims)


def run_attack(attack: str, target: Target) -> tuple[Figures, Figures]:
    generator = torch.Generator().manual_seed(0)
    attacker = find_attack(attack).fit(target.public, generator, OPTIONS)
    return attacker.score(target.victims), attacker.floor(target.victims)


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_succeeds_on_the_unprotected_release(attack: str, encode: Encode) -> None:
    reached, floor = run_attack(attack, make_target(attack, encode))
    headline = find_attack(attack).headline
    assert (reached[headline] - floor[headline]) / (1 - floor[headline]) > 0.25


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_at_its_floor_on_pure_noise(attack: str, encode: Encode) -> None:
    draw = np.random.default_rng(0).standard_normal
    target = make_target(attack, encode, lambda values: draw(values.shape).astype(np.float32))
    reached, floor = run_attack(attack, target)
    headline = find_attack(attack).headline
    assert reached[headline] < floor[headline] + 0.1


@pytest.mark.parametrize("encode", [OF_LATENTS], indirect=True)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_seed_gives_the_same_figures(attack: str, encode: Encode) -> None:
    target = make_target(attack, encode)
    assert run_attack(attack, target) == run_attack(attack, target)


def fit_one(attack: str, released: np.ndarray, truth: np.ndarray) -> object:
    known = Known(released, truth)
    return find_attack(attack).fit(known, torch.Generator(), OPTIONS)


LATENTS, LABELS = np.zeros((6, 4), np.float32), np.array(list("aabbcc"))
UNLIKE = (
    lambda: Target(Known(LATENTS, LABELS), Known(LATENTS[:, :3], LABELS)),
    lambda: Target(Known(LATENTS, LATENTS), Known(LATENTS, LATENTS[:, :3])),
)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: Known(LATENTS.reshape(6, 2, 2), LABELS), r"not releases of shape \[6, 2, 2\]"),
        (lambda: Known(LATENTS[:0], LABELS[:0]), "there is no release to attack"),
        (lambda: Known(LATENTS + np.nan, LABELS), "NaN"),
        (lambda: Known(LATENTS, LABELS[:5]), "6 releases have 5 truths"),
        (lambda: Known(LATENTS, np.array([*"aabbc", None])), "the truth of a release is missing"),
        (lambda: Known(LATENTS, LABELS, LABELS[:4]), "6 releases have 4 labels"),
        (UNLIKE[0], r"released values of shape \[4\], those of the victims are \[3\]"),
        (UNLIKE[1], r"truth values of shape \[4\], those of the victims are \[3\]"),
        (lambda: fit_one("reconstruction", LATENTS, LABELS), r"after the images \[N, C, H, W\]"),
        (lambda: fit_one("label", LATENTS, LATENTS), r"after the labels \[N\]"),
        (lambda: fit_one("label", LATENTS, np.array(["a"] * 6)), "one class only, 'a'"),
        (lambda: fit_one("attribute", LATENTS, LABELS), "tell them"),
        (lambda: fit_one("reidentification", LATENTS, LABELS), "candidates' encodings"),
        (lambda: fit_one("reidentification", LATENTS, LATENTS[:, :3]), "cannot be compared"),
        (lambda: find_attack("guess"), "known: reconstruction, label, attribute, reident"),
    ],
)
def test_what_cannot_be_attacked_is_refused_in_words(attempt: Callable, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        attempt()
