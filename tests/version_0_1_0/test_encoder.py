"""An encoder folder of version 0.1.0."""

from pathlib import Path

import numpy as np
import torch

from client_autoencoder.encoders.files import load_decoder, load_edge
from client_autoencoder.encoders.runtime import Encoder
from tests.support.commands import run
from tests.support.images import draw_images
from tests.version_0_1_0.made import FACTS, read_json

EXPECTED = FACTS["encoder"]
IMAGES = draw_images(3, seed=9).images


def test_it_has_the_same_id_and_gives_the_same_numbers(folder: Path) -> None:
    shown = read_json(run("encoder", "show", folder / "encoder", "--json"))
    assert shown["encoder_id"] == EXPECTED["encoder_id"]
    latents = Encoder.load(folder / "encoder").encode(IMAGES)
    np.testing.assert_allclose(latents, EXPECTED["latents"], atol=1e-4)


def test_it_comes_back_into_torch_with_its_decoder(folder: Path) -> None:
    edge, decoder = load_edge(folder / "encoder"), load_decoder(folder / "encoder")
    with torch.no_grad():
        latents = edge(torch.from_numpy(IMAGES))
        restored = decoder(latents)
    np.testing.assert_allclose(latents, EXPECTED["latents"], atol=1e-4)
    np.testing.assert_allclose(restored[0, 0], EXPECTED["restored"], atol=1e-4)
