"""What a client's messages carry, before any of them leaves."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientError
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.privacy.mechanism import GaussianMechanism, Mechanism, NoMechanism
from schemas.quantiser import quantise
from schemas.wire import avro_form
from tests.support.images import draw_images


@pytest.fixture(scope="module")
def encoder(encoder_directory: Path) -> Encoder:
    return Encoder.load(encoder_directory)


def make_maker(
    encoder: Encoder, dtype: Literal["int8", "float32"], mechanism: Mechanism | None = None
) -> MessageMaker:
    return MessageMaker(
        client_id="radiology-1",
        encoder=encoder,
        mechanism=mechanism or NoMechanism(),
        form=avro_form.CONTENT_TYPE,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
        dtype=dtype,
    )


def make_mechanism() -> GaussianMechanism:
    noise = np.random.default_rng(0).standard_normal
    return GaussianMechanism(epsilon=4.0, delta=1e-5, clip=1.0, noise=noise)


def double(batch: ImageBatch) -> ImageBatch:
    """Return the images with one copy of each."""
    ids = iter("abcdefghi")
    return next(augment_batches([batch], 1, np.random.default_rng(0), lambda: next(ids)))


def test_float32_latents_travel_as_the_encoder_made_them(encoder: Encoder) -> None:
    batch = draw_images(3, side=9)
    messages = list(make_maker(encoder, "float32").make(batch, "learning"))
    assert [message.value.dtype for message in messages] == ["float32"] * 3
    sent = np.stack([message.value.to_numpy() for message in messages])
    assert np.array_equal(sent, encoder.encode(batch.images))


def test_int8_latents_are_the_encoders_codes(encoder: Encoder) -> None:
    batch = draw_images(3, side=9)
    messages = list(make_maker(encoder, "int8").make(batch, "service"))
    sent = np.stack([message.value.to_numpy() for message in messages])
    assert sent.dtype == np.int8
    low, high = encoder.manifest.output.low, encoder.manifest.output.high
    assert np.array_equal(sent, quantise(encoder.encode(batch.images), low, high))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_noised_latents_are_float32_whatever_was_asked(
    encoder: Encoder, dtype: Literal["int8", "float32"]
) -> None:
    maker = make_maker(encoder, dtype, make_mechanism())
    (message,) = maker.make(draw_images(1, side=9), "learning")
    assert message.value.dtype == "float32"


def test_copies_carry_the_id_of_their_image(encoder: Encoder) -> None:
    batch = draw_images(2, side=9)
    maker = make_maker(encoder, "int8")
    copies = list(maker.make(double(batch), "learning"))
    assert [message.image_id for message in copies] == ["a", "a", "b", "b"]
    assert len({message.message_id for message in copies}) == 4
    assert [message.image_id for message in maker.make(batch, "learning")] == [None, None]


def test_copies_are_not_noised(encoder: Encoder) -> None:
    maker = make_maker(encoder, "int8", make_mechanism())
    with pytest.raises(ClientError, match=r"^4 releases of 2 images: .* Send without copies"):
        next(maker.make(double(draw_images(2, side=9)), "learning"))
