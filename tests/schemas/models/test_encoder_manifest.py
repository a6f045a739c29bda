"""A manifest of ``ioa-encoder/1`` is read strictly, and keeps its id."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SchemaError
from schemas.models.network_manifest import NetworkManifest

DOCUMENT: dict[str, Any] = {
    "format": "ioa-encoder/1",
    "architecture": {
        "name": "conv-autoencoder",
        "maps": 8,
        "kernel": 5,
        "pool": 2,
        "hidden": 512,
    },
    "preprocessing": {
        "channels": 1,
        "height": 8,
        "width": 9,
        "resize": "bilinear",
        "pixels": "0..1",
    },
    "latentDim": 16,
    "quantiser": {"dtype": "int8", "low": -3.1, "high": 2.9},
    "trainingData": {"name": "digits", "sha256": "a" * 64, "images": 600, "origin": "public"},
    "files": {"encoder.onnx": "b" * 64, "encoder.safetensors": "c" * 64},
}
# What a client of 2026 computes for DOCUMENT; encoder ids in stored messages depend on it for ever.
ENCODER_ID = "fe5ad10335a310fa15281244f0dac56281e621b8afa7fc7bf7862956ccdb7552"


def changed(path: str, value: object) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path.split("/")
    (document[parents[0]] if parents else document)[last] = value
    return document


def without(path: str) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path.split("/")
    del (document[parents[0]] if parents else document)[last]
    return document


def test_reads_what_it_writes() -> None:
    manifest = NetworkManifest.from_json(json.dumps(DOCUMENT, indent=4))
    assert json.loads(manifest.to_json()) == DOCUMENT
    assert NetworkManifest.from_json(manifest.to_json().encode()) == manifest
    assert (manifest.images.height, manifest.images.width, manifest.latent_dim) == (8, 9, 16)


def test_the_id_is_that_of_the_canonical_json_whatever_the_spacing() -> None:
    indented = NetworkManifest.from_json(json.dumps(DOCUMENT, indent=4))
    whole = NetworkManifest.from_json(json.dumps(changed("quantiser/low", -3)))
    assert indented.network_id == ENCODER_ID
    assert NetworkManifest.from_json(whole.to_json()).network_id == whole.network_id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("architecture/hidden", 256),
        ("preprocessing/height", 9),
        ("latentDim", 17),
        ("quantiser/high", 2.90001),
        ("trainingData/origin", "private"),
        ("trainingData/sha256", "d" * 64),
        ("files/encoder.onnx", "e" * 64),
    ],
)
def test_any_change_is_another_encoder(path: str, value: object) -> None:
    assert NetworkManifest.from_json(json.dumps(changed(path, value))).network_id != ENCODER_ID


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param(changed("format", "ioa-encoder/2"), "format", id="other-format"),
        pytest.param(without("latentDim"), "latentDim", id="missing"),
        pytest.param(without("quantiser/low"), "quantiser.low", id="missing-inside"),
        pytest.param(without("quantiser/dtype"), "quantiser.dtype", id="missing-constant"),
        pytest.param(changed("extra", 1), "extra", id="unknown"),
        pytest.param(changed("quantiser/mid", 0), "quantiser.mid", id="unknown-inside"),
        pytest.param(changed("latentDim", 0), "latentDim", id="zero"),
        pytest.param(changed("latentDim", 10**9), "latentDim", id="huge"),
        pytest.param(changed("latentDim", True), "latentDim", id="true"),
        pytest.param(changed("latentDim", 16.0), "latentDim", id="fraction"),
        pytest.param(changed("latentDim", "16"), "latentDim", id="text-for-number"),
        pytest.param(changed("quantiser/low", 2.9), "quantiser.high", id="empty-range"),
        pytest.param(changed("quantiser/low", -1e300), "quantiser.low", id="beyond-float32"),
        pytest.param(changed("quantiser/low", float("nan")), "quantiser.low", id="nan"),
        pytest.param(changed("quantiser/high", float("inf")), "quantiser.high", id="infinite"),
        pytest.param(changed("quantiser/dtype", "int4"), "quantiser.dtype", id="other-dtype"),
        pytest.param(changed("preprocessing/channels", 3), "preprocessing.channels", id="colour"),
        pytest.param(changed("preprocessing", []), "preprocessing", id="list-for-object"),
        pytest.param(changed("trainingData/name", ""), "trainingData.name", id="empty-name"),
        pytest.param(changed("trainingData/name", "a\x1b[2J"), "trainingData.name", id="control"),
        pytest.param(changed("trainingData/origin", "both"), "trainingData.origin", id="origin"),
        pytest.param(changed("files/encoder.onnx", "b" * 63), "files.encoder.onnx", id="short-sum"),
        pytest.param(changed("files/encoder.onnx", "B" * 64), "files.encoder.onnx", id="upper-sum"),
        pytest.param(without("files/encoder.onnx"), "files.encoder.onnx", id="no-onnx"),
    ],
)
def test_says_which_field_is_wrong(document: dict[str, Any], field: str) -> None:
    with pytest.raises(SchemaError) as caught:
        NetworkManifest.from_json(json.dumps(document))
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["../encoder.onnx", "/etc/passwd", "a/b", "..", ""])
def test_a_file_outside_the_directory_is_refused(name: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["files"][name] = "b" * 64
    with pytest.raises(SchemaError, match="plain file name"):
        NetworkManifest.from_json(json.dumps(document))


def test_a_decoder_is_never_published() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["files"]["decoder.safetensors"] = "b" * 64
    with pytest.raises(SchemaError, match="never published"):
        NetworkManifest.from_json(json.dumps(document))


def test_a_field_that_stands_twice_is_refused() -> None:
    text = json.dumps(DOCUMENT)[:-1] + ', "latentDim": 32}'
    with pytest.raises(SchemaError, match="'latentDim' stands twice"):
        NetworkManifest.from_json(text)


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_raise_only_a_schema_error(junk: bytes) -> None:
    with pytest.raises(SchemaError):
        NetworkManifest.from_json(junk)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(DOCUMENT)), _JSON)
def test_any_value_in_place_of_a_field_is_read_or_refused(field: str, value: object) -> None:
    text = json.dumps(changed(field, value))
    try:
        manifest = NetworkManifest.from_json(text)
    except SchemaError:
        return
    assert NetworkManifest.from_json(manifest.to_json()) == manifest


def test_deep_nesting_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match="not JSON"):
        NetworkManifest.from_json("[" * 200_000)
