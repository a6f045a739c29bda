"""What is packed comes back within half a step, and nothing else is unpacked."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from schemas.errors import SchemaError
from schemas.messages.latent import LatentMessage
from schemas.models.network_manifest import Output
from schemas.vector import Packing, Vector
from schemas.wire.avro_form import decode_latent_avro, encode_avro
from schemas.wire.json_form import encode_json
from stream.networks.packing import PACKERS, check_picture, pack, unpack
from tests.support import messages

MAPS = Output((16, 7, 7), -1.0, 3.0, ("float32", "int8", "int4", "jpeg"))
ROW = Output((15,), -1.0, 3.0, ("float32", "int8", "int4"))
BYTES = {"float32": 3136, "int8": 784, "int4": 392}
STEPS = {"float32": 0.0, "int8": 4 / 255, "int4": 4 / 15}


def draw(output: Output, rows: int = 20) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return rng.uniform(output.low, output.high, (rows, *output.shape)).astype(np.float32)


def restore(vectors: list[Vector], output: Output) -> NDArray[np.float32]:
    return unpack([vector.data for vector in vectors], vectors[0].dtype, output)


@pytest.mark.parametrize("output", [MAPS, ROW], ids=["maps", "row"])
@pytest.mark.parametrize("dtype", STEPS)
def test_what_comes_back_may_be_written_to(dtype: Packing, output: Output) -> None:
    # Torch warns of arrays that may not, even where it only reads them.
    assert restore(pack(draw(output), dtype, output), output).flags.writeable


@pytest.mark.parametrize("output", [MAPS, ROW], ids=["maps", "row"])
@pytest.mark.parametrize("dtype", STEPS)
def test_numbers_come_back_within_half_a_step(dtype: Packing, output: Output) -> None:
    values = draw(output)
    restored = restore(pack(values, dtype, output), output)
    assert restored.shape == values.shape
    assert restored.dtype == np.float32
    assert np.abs(restored - values).max() <= STEPS[dtype] / 2 + 1e-6


@pytest.mark.parametrize(("dtype", "size"), BYTES.items())
def test_a_map_takes_the_bytes_that_are_promised(dtype: Packing, size: int) -> None:
    assert {len(vector.data) for vector in pack(draw(MAPS), dtype, MAPS)} == {size}


def test_what_lies_outside_the_range_is_clipped() -> None:
    for dtype in ("int8", "int4"):
        values = draw(ROW, 1)
        values += 99
        (vector,) = pack(values, dtype, ROW)
        assert restore([vector], ROW).max() == pytest.approx(ROW.high)


@pytest.mark.parametrize("maps", [1, 2, 3, 5, 16, 17])
def test_smooth_maps_survive_a_picture(maps: int) -> None:
    output = Output((maps, 9, 6), 0.0, 1.0, ("jpeg",))
    slopes = np.linspace(0, 1, 9 * 6, dtype=np.float32).reshape(9, 6)
    rows = [slopes * np.float32((number + 1) / maps) for number in range(maps)]
    values = np.stack(rows)[None].astype(np.float32)
    assert np.abs(restore(pack(values, "jpeg", output), output) - values).mean() < 0.03


def write_picture(size: tuple[int, int], mode: str = "L", kind: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(write_picture((27, 28)), "27x28 pixels, mode L", id="narrow"),
        pytest.param(write_picture((28, 28), "RGB"), "mode RGB", id="colour"),
        pytest.param(write_picture((10_000, 10_000)), "10000x10000 pixels", id="large"),
        pytest.param(write_picture((60_000, 60_000)), "bomb", id="bomb"),
        pytest.param(write_picture((28, 28), kind="PNG"), "is not a JPEG", id="png"),
        pytest.param(b"\xff\xd8\xff", "is not a JPEG", id="cut"),
        pytest.param(b"", "is not a JPEG", id="empty"),
    ],
)
def test_a_picture_of_another_size_is_refused_undecoded(data: bytes, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        check_picture(data, MAPS)


def test_a_damaged_picture_is_refused() -> None:
    (vector,) = pack(draw(MAPS, 1), "jpeg", MAPS)
    with pytest.raises(SchemaError, match="is a damaged JPEG"):
        unpack([vector.data[:-60]], "jpeg", MAPS)


def test_a_packing_that_the_manifest_does_not_allow_is_refused() -> None:
    with pytest.raises(SchemaError, match="jpeg is not a packing of this network; it allows float"):
        pack(draw(ROW), "jpeg", ROW)


@pytest.mark.parametrize("dtype", PACKERS)
def test_not_a_number_is_refused(dtype: Packing) -> None:
    values = draw(MAPS)
    values[3, 2, 1, 0] = np.nan
    with pytest.raises(SchemaError, match="is not a finite number"):
        pack(values, dtype, MAPS)


@pytest.mark.parametrize("dtype", PACKERS)
def test_all_packings_travel_as_avro(dtype: Packing) -> None:
    message = messages.examples()["learning"]
    assert isinstance(message, LatentMessage)
    (message.value,) = pack(draw(MAPS, 1), dtype, MAPS)
    assert decode_latent_avro(encode_avro(message)) == message


@pytest.mark.parametrize("dtype", ["int4", "jpeg"])
def test_json_carries_no_packed_numbers(dtype: Packing) -> None:
    message = messages.examples()["learning"]
    assert isinstance(message, LatentMessage)
    (message.value,) = pack(draw(MAPS, 1), dtype, MAPS)
    with pytest.raises(SchemaError, match=f"{dtype} is packed, which only the Avro form carries"):
        encode_json(message)


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "reason"),
    [
        ("int4", (4,), b"\x00", "takes 2"),
        ("int4", (3,), b"\x00\x01", "has a code after its last"),
        ("jpeg", (1, 2, 2), b"no picture", "is not a JPEG"),
        ("jpeg", (4,), b"\xff\xd8\xff", "are no maps"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(dtype, shape, data: bytes, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        Vector(dtype, shape, data)
