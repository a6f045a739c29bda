"""Images are fitted to what a network takes, in grey and in colour, from every kind of source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.images.augmentation import augment
from client_autoencoder.images.batches import read_all
from client_autoencoder.images.preprocessing import preprocess
from client_autoencoder.images.sources import open_source
from schemas.models.manifest_fields import TrainingData
from schemas.models.network_manifest import ImageInput

WIDE = np.zeros((1, 8, 16), np.float32)
WIDE[:, :, 4:12] = 1  # a white square in the middle of a black picture


@pytest.mark.parametrize(
    ("aspect", "left", "middle", "top"),
    [("stretch", 0, 1, 1), ("pad", 0, 1, 0), ("crop", 1, 1, 1)],
)
def test_proportions(aspect, left: float, middle: float, top: float) -> None:
    fitted = preprocess(WIDE, ImageInput(1, 8, 8, aspect=aspect))
    assert fitted.shape == (1, 8, 8)
    assert fitted[0, 4, 0] == pytest.approx(left, abs=0.1)
    assert fitted[0, 4, 4] == pytest.approx(middle, abs=0.1)
    assert fitted[0, 0, 4] == pytest.approx(top, abs=0.1)


@pytest.mark.parametrize("resize", ["bilinear", "area"])
def test_shrinking_averages_and_stays_in_range(resize) -> None:
    checks = np.indices((16, 16)).sum(0, keepdims=True)[0][None].astype(np.float32) % 2
    small = preprocess(checks, ImageInput(1, 4, 4, resize))
    assert small == pytest.approx(0.5, abs=0.05)
    assert preprocess(checks, ImageInput(1, 33, 7, resize)).max() <= 1.0


def test_area_is_the_mean_of_what_a_pixel_covers() -> None:
    image = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    means = image.reshape(1, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(preprocess(image, ImageInput(1, 4, 4, "area")), means, atol=1e-6)


def test_a_window_becomes_the_whole_range() -> None:
    image = np.linspace(0, 1, 11, dtype=np.float32).reshape(1, 1, 11)
    fitted = preprocess(image, ImageInput(1, 1, 11, window=(0.2, 0.7)))
    expected = ((image - 0.2) / 0.5).clip(0, 1)
    np.testing.assert_allclose(fitted, expected, atol=1e-6)


def test_an_image_of_the_size_stays_as_it_is() -> None:
    image = np.random.default_rng(0).random((3, 9, 7)).astype(np.float32)
    for aspect in ("stretch", "pad", "crop"):
        assert np.array_equal(preprocess(image, ImageInput(3, 9, 7, aspect=aspect)), image)


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_every_source_gives_grey_and_colour(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    if kind == "npz":
        np.savez(tmp_path / "made.npz", images=pixels)
        source = open_source(str(tmp_path / "made.npz"))
    else:
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(tmp_path / f"{number}.png")
        source = open_source(str(tmp_path))
    colour = read_all(source, [], wanted=ImageInput(3, 6, 5)).images
    np.testing.assert_allclose(colour, np.moveaxis(pixels, 3, 1) / 255, atol=1e-6)
    grey = read_all(source, [], wanted=ImageInput(1, 6, 5)).images
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[:, 0], pixels @ weights / 255, atol=3e-3)


def test_grey_is_repeated_for_colour(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5), np.uint8)
    np.savez(tmp_path / "made.npz", images=pixels)
    colour = read_all(open_source(str(tmp_path / "made.npz")), [], wanted=ImageInput(3, 6, 5))
    assert colour.images.shape == (4, 3, 6, 5)
    assert np.array_equal(colour.images[:, 0], colour.images[:, 2])


def test_copies_of_colour_images_keep_their_channels_together() -> None:
    grey = np.random.default_rng(0).random((3, 1, 12, 10)).astype(np.float32)
    colour = np.concatenate([grey, grey / 2, grey / 4], axis=1)
    one = augment(grey, 2, np.random.default_rng(1))
    three = augment(colour, 2, np.random.default_rng(1))
    assert three.shape == (3, 2, 3, 12, 10)
    np.testing.assert_allclose(three[:, :, 1:2], one / 2, atol=1e-6)
    assert np.array_equal(three[:, :, :1], one)


def test_a_network_normalises_by_the_mean_of_its_manifest(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((30, 3, 8, 8), np.float32)
    data = TrainingData("made", "a" * 64, images=30, origin="public")
    options = TrainingOptions(epochs=1, attempts=1)
    trained = train(images, ConvolutionConfig(3, 8, 8, maps=4), options, torch.Generator())
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    write_encoder(tmp_path / "plain", trained, data)
    write_encoder(tmp_path / "normal", trained, data, ImageInput(3, 8, 8, mean=mean, std=std))
    plain, normal = Encoder.load(tmp_path / "plain"), Encoder.load(tmp_path / "normal")
    assert plain.encoder_id != normal.encoder_id
    shape = (1, 3, 1, 1)
    by_hand = (images - np.array(mean, "f4").reshape(shape)) / np.array(std, "f4").reshape(shape)
    np.testing.assert_allclose(normal.encode(images), plain.encode(by_hand), atol=1e-5)
