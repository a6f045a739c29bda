"""Which maps are admitted: of the network's shape, in a packing that its manifest allows."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine

from schemas.errors import SchemaError
from schemas.messages.latent import LatentMessage
from schemas.models.network_manifest import Output
from schemas.vector import Vector
from server_classifier.intake.admission import Admission
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.exchange.codec import Received
from stream.kafka.record import Record
from stream.networks.packing import pack
from tests.server_classifier.stored import NOW
from tests.support.manifests import make_manifest
from tests.support.messages import full_service
from tests.support.server import add_clients

MAPS = Output((16, 7, 7), 0.0, 4.0, ("int8", "int4", "jpeg"))
ALL = replace(MAPS, packings=("float32", *MAPS.packings))
EDGE = replace(make_manifest(), output=MAPS)
VALUES = np.random.default_rng(0).uniform(0, 4, (1, 16, 7, 7)).astype(np.float32)


def pack_as(dtype, output: Output = ALL) -> Vector:
    (vector,) = pack(VALUES, dtype, output)
    return vector


def reshape(vector: Vector, *shape: int) -> Vector:
    return Vector(vector.dtype, shape, vector.data)


@pytest.fixture
def admission(sqlite_engine: Engine) -> Admission:
    with writing(sqlite_engine) as connection:
        add_encoder(connection, EDGE, now=NOW)
    add_clients(sqlite_engine, "radiology-1")
    return Admission(sqlite_engine, None, lambda: 0.0)


def admit(admission: Admission, vector: Vector) -> None:
    message: LatentMessage = replace(
        full_service(), value=vector, encoder_id=EDGE.network_id, privacy=None
    )
    record = Record("ioa.service", 0, 0, 0, None, b"", [])
    admission.admit(Received(record, message, paper_only=False))


@pytest.mark.parametrize("dtype", MAPS.packings)
def test_each_allowed_packing_is_admitted(admission: Admission, dtype) -> None:
    admit(admission, pack_as(dtype))


def test_a_map_as_one_row_of_numbers_is_admitted(admission: Admission) -> None:
    admit(admission, reshape(pack_as("int8"), 784))


JPEG = pack_as("jpeg")
(SMALL,) = pack(VALUES[:, :4], "jpeg", replace(ALL, shape=(4, 7, 7)))


@pytest.mark.parametrize(
    ("vector", "field", "words"),
    [
        (reshape(pack_as("int8"), 7, 16, 7), "shape", r"\[7, 16, 7\] is not what"),
        (reshape(pack_as("int8"), 1, 16, 7, 7), "shape", r"makes, \[16, 7, 7\]"),
        (Vector("int8", (784 + 1,), bytes(785)), "value", "has 785 numbers"),
        (pack_as("float32"), "dtype", "do not travel as float32; send int8 or int4 or jpeg"),
        (reshape(SMALL, 16, 7, 7), "value", "JPEG of 14x14 pixels"),
        (replace(JPEG, data=JPEG.data[: len(JPEG.data) // 2]), "value", "damaged JPEG"),
    ],
)  # fmt: skip
def test_what_is_no_map_of_the_network_is_refused(
    admission: Admission, vector: Vector, field: str, words: str
) -> None:
    with pytest.raises(SchemaError, match=words) as caught:
        admit(admission, vector)
    assert caught.value.field == field
