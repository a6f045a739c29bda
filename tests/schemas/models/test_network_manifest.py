"""A manifest of a network is read strictly, and its id changes with everything it says."""

import copy
import json
from typing import Any

import pytest

from schemas.errors import SchemaError
from schemas.models.network_manifest import NetworkManifest

EDGE: dict[str, Any] = {
    "format": "ioa-network/1",
    "role": "edge",
    "family": {"name": "conv", "parameters": {"maps": 16, "blocks": 2, "slope": 0.1}},
    "input": {
        "channels": 1,
        "height": 28,
        "width": 28,
        "resize": "bilinear",
        "aspect": "stretch",
        "window": None,
        "mean": None,
        "std": None,
    },
    "output": {"shape": [16, 7, 7], "low": 0.0, "high": 6.5, "packings": ["int8", "jpeg"]},
    "objective": "exit",
    "trainingData": {"name": "mnist", "sha256": "a" * 64, "images": 600, "origin": "public"},
    "files": {"network.onnx": "b" * 64, "exit.onnx": "c" * 64},
    "scores": {"accuracy": 0.917},
    "pairs": [],
    "labels": ["0", "1"],
}
MAIN = EDGE | {
    "role": "main",
    "input": {"shape": [16, 7, 7]},
    "files": {"network.onnx": "b" * 64},
    "labels": None,
    "pairs": ["d" * 64],
}


def change(path: str, value: object, document: dict[str, Any] = EDGE) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *parents, last = path.split("/")
    (changed[parents[0]] if parents else changed)[last] = value
    return changed


def read(document: dict[str, Any]) -> NetworkManifest:
    return NetworkManifest.from_json(json.dumps(document))


@pytest.mark.parametrize("document", [EDGE, MAIN], ids=["edge", "main"])
def test_reads_what_it_writes(document: dict[str, Any]) -> None:
    manifest = read(document)
    assert json.loads(manifest.to_json()) == document
    assert NetworkManifest.from_json(manifest.to_json()) == manifest


def test_it_says_what_it_takes_and_makes() -> None:
    edge = read(EDGE)
    assert (edge.images.shape, edge.output.shape, edge.latent_dim) == ((1, 28, 28), (16, 7, 7), 784)
    assert edge.onnx == "network.onnx"
    with pytest.raises(SchemaError, match="a main network takes no images"):
        _ = read(MAIN).images


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("role", "main"),
        ("family/name", "other"),
        ("family/parameters", {"maps": 17}),
        ("input/height", 29),
        ("input/aspect", "crop"),
        ("output/packings", ["int8"]),
        ("output/low", -0.1),
        ("objective", "reconstruction"),
        ("scores", {"accuracy": 0.918}),
        ("pairs", ["e" * 64]),
        ("labels", ["1", "0"]),
    ],
)
def test_any_change_is_another_network(path: str, value: object) -> None:
    document = change(path, value)
    if path == "role":
        document |= {"input": MAIN["input"]}
    assert read(document).network_id != read(EDGE).network_id


def test_whole_numbers_give_the_id_of_their_floats() -> None:
    assert read(change("output/low", 0)).network_id == read(EDGE).network_id


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param(change("format", "ioa-network/2"), "format", id="other-format"),
        pytest.param(change("role", "middle"), "role", id="unknown-role"),
        pytest.param(change("role", "main"), "input", id="main-of-images"),
        pytest.param(change("role", "edge", MAIN), "input", id="edge-of-tensors"),
        pytest.param(change("extra", 1), "extra", id="unknown"),
        pytest.param(change("input/channels", 2), "input", id="two-channels"),
        pytest.param(change("input/resize", "nearest"), "input", id="unknown-resize"),
        pytest.param(change("input/window", [5, 5]), "input.window", id="empty-window"),
        pytest.param(change("input/mean", [0.5]), "input.std", id="mean-without-std"),
        pytest.param(change("output/shape", []), "output.shape", id="no-shape"),
        pytest.param(change("output/shape", [4, 4]), "output.shape", id="two-sides"),
        pytest.param(change("output/shape", [1, 2, 3, 4]), "output.shape", id="four-sides"),
        pytest.param(change("output/shape", [1024, 1024, 2]), "output.shape", id="huge"),
        pytest.param(change("output/shape", [16, 0, 7]), "output.shape", id="empty"),
        pytest.param(change("output/shape", [784]), "output.packings", id="jpeg-of-a-row"),
        pytest.param(change("output/packings", []), "output.packings", id="no-packing"),
        pytest.param(change("output/packings", ["int2"]), "output.packings", id="unknown-packing"),
        pytest.param(change("output/high", 0.0), "output.high", id="empty-range"),
        pytest.param(change("scores", {"accuracy": float("nan")}), "scores.accuracy", id="nan"),
        pytest.param(change("pairs", ["x"]), "pairs", id="no-id"),
        pytest.param(change("labels", None), "labels", id="exit-without-labels"),
        pytest.param(change("files", {"network.onnx": "b" * 64}), "labels", id="no-exit"),
        pytest.param(change("files", {"exit.onnx": "b" * 64}), "files.network.onnx", id="no-onnx"),
    ],
)
def test_says_which_field_is_wrong(document: dict[str, Any], field: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read(document)
    assert str(caught.value.field).startswith(field)
