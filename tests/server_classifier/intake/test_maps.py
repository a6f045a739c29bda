"""Maps are admitted as the edge's manifest allows, and what cannot be unpacked is refused."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from schemas.errors import SchemaError
from schemas.messages.latent import Aggregate, LatentMessage
from schemas.models.network_manifest import Output
from schemas.vector import Packing, Vector
from server_classifier.intake.admission import Admitted
from server_classifier.intake.statements import check_statements
from server_classifier.store.registry.entries import ClientRow, EncoderRow
from stream.exchange.codec import Received
from stream.networks.packing import PACKERS, pack
from tests.support.manifests import make_manifest
from tests.support.messages import examples
from tests.support.server import NOW

OUTPUT = Output((16, 7, 7), 0.0, 4.0, ("float32", "int8", "int4", "jpeg"))
_PLAIN = make_manifest()
MANIFEST = replace(_PLAIN, output=OUTPUT)
ENCODER = EncoderRow(MANIFEST.network_id, MANIFEST, MANIFEST.latent_dim, NOW)
MAPS = np.random.default_rng(0).uniform(0, 4, (1, 16, 7, 7)).astype(np.float32)


def make_message(vector: Vector) -> LatentMessage:
    message = examples()["learning"]
    assert isinstance(message, LatentMessage)
    message.value, message.privacy, message.aggregate = vector, None, None
    return message


def write_picture(width: int, height: int, mode: str = "L") -> bytes:
    file = BytesIO()
    Image.new(mode, (width, height)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("dtype", PACKERS)
def test_maps_in_every_packing_become_numbers(dtype: Packing) -> None:
    (vector,) = pack(MAPS, dtype, OUTPUT)
    message = make_message(vector)
    check_statements(message, ENCODER)
    client = ClientRow("radiology-1", "north", None, NOW)
    received: Received[LatentMessage] = Received(None, message, False)  # type: ignore[arg-type]
    floats = Admitted(received, client, ENCODER).to_floats()
    assert floats.shape == (784,)
    assert np.abs(floats - MAPS.reshape(-1)).mean() < (0.2 if dtype == "jpeg" else 0.1)


def test_a_row_of_all_numbers_is_taken_for_the_maps() -> None:
    check_statements(make_message(Vector("int8", (784,), bytes(784))), ENCODER)


def cut_picture() -> bytes:
    (vector,) = pack(MAPS, "jpeg", OUTPUT)
    return vector.data[:-40]


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        (Vector("int8", (7, 7, 16), bytes(784)), r"\[7, 7, 16\] are not the maps"),
        (Vector("int8", (28, 28), bytes(784)), r"\[28, 28\] are not the maps"),
        (Vector("int8", (16, 7, 8), bytes(896)), "has 896 numbers"),
        (Vector("int32", (16, 7, 7), bytes(3136)), "int32 is not a packing of this network"),
        (Vector("jpeg", (16, 7, 7), write_picture(28, 27)), "is a JPEG of 28x27 pixels"),
        (Vector("jpeg", (16, 7, 7), write_picture(28, 28, "RGB")), "mode RGB"),
        (Vector("jpeg", (16, 7, 7), write_picture(20_000, 20_000)), "20000x20000|bomb"),
        (Vector("jpeg", (16, 7, 7), cut_picture()), "is a damaged JPEG"),
        (Vector("jpeg", (16, 7, 7), b"\xff\xd8\xff" + b"x" * 400), "is not a JPEG"),
    ],
)
def test_other_maps_are_refused(vector: Vector, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        check_statements(make_message(vector), ENCODER)


def test_moments_wait_for_a_server_that_uses_them() -> None:
    message = make_message(Vector("int8", (16, 7, 7), bytes(784)))
    message.aggregate = Aggregate("moments", 10)
    with pytest.raises(SchemaError, match="moments is not supported yet"):
        check_statements(message, ENCODER)
