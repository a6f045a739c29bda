"""What an attacker gets is what the messages carry."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.privacy.mechanism import NoMechanism
from schemas.quantiser import dequantise
from schemas.wire import avro_form
from tests.support.images import draw_images


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_they_are_the_vectors_of_the_messages(
    encoder_directory: Path, dtype: Literal["int8", "float32"]
) -> None:
    encoder = Encoder.load(encoder_directory)
    maker = MessageMaker(
        client_id="radiology-1",
        encoder=encoder,
        mechanism=NoMechanism(),
        form=avro_form.CONTENT_TYPE,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
        dtype=dtype,
    )
    batch = draw_images(5, side=9)
    vectors = np.stack([message.value.to_numpy() for message in maker.make(batch, "learning")])
    if dtype == "int8":
        output = encoder.manifest.output
        vectors = dequantise(vectors, output.low, output.high)
    assert np.array_equal(released_latents(encoder, batch.images, dtype), vectors)
