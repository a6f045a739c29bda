"""A network whose values lie in a file that no sum covers is not loaded."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    SparseTensorProto,
    TensorProto,
    helper,
    numpy_helper,
)

from stream.artefacts.checksums import ArtefactError
from stream.artefacts.encoder_files import read_encoder
from stream.artefacts.onnx_references import refers_to_files
from tests.support.manifests import make_manifest


def make_tensor(*, elsewhere: bool) -> TensorProto:
    tensor = numpy_helper.from_array(np.arange(16, dtype=np.float32), "weight")
    if elsewhere:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def in_initializer(tensor: TensorProto) -> ModelProto:
    return ModelProto(graph=GraphProto(initializer=[make_tensor(elsewhere=False), tensor]))


def in_sparse_tensor(tensor: TensorProto) -> ModelProto:
    sparse = SparseTensorProto(values=tensor)
    return ModelProto(graph=GraphProto(sparse_initializer=[sparse]))


def in_constant(tensor: TensorProto) -> ModelProto:
    node = helper.make_node("Constant", [], ["weight"], value=tensor)
    return ModelProto(graph=GraphProto(node=[node]))


def in_branch(tensor: TensorProto) -> ModelProto:
    branch = in_constant(tensor).graph
    node = helper.make_node("If", ["condition"], ["result"], then_branch=branch)
    return ModelProto(graph=GraphProto(node=[node]))


def in_list(tensor: TensorProto) -> ModelProto:
    attribute = AttributeProto(name="values", tensors=[tensor])
    node = helper.make_node("Custom", [], ["result"])
    node.attribute.append(attribute)
    return ModelProto(graph=GraphProto(node=[node]))


def in_function(tensor: TensorProto) -> ModelProto:
    return ModelProto(functions=[FunctionProto(node=in_constant(tensor).graph.node)])


def in_training(tensor: TensorProto) -> ModelProto:
    model = ModelProto()
    model.training_info.add().initialization.CopyFrom(in_initializer(tensor).graph)
    return model


PLACES = [
    in_initializer,
    in_sparse_tensor,
    in_constant,
    in_branch,
    in_list,
    in_function,
    in_training,
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_values_in_another_file_are_refused(
    place: Callable[[TensorProto], ModelProto], tmp_path: Path
) -> None:
    for elsewhere in (False, True):
        onnx = place(make_tensor(elsewhere=elsewhere)).SerializeToString()
        assert refers_to_files(onnx) == elsewhere
    (tmp_path / "network.onnx").write_bytes(onnx)
    files = {"network.onnx": hashlib.sha256(onnx).hexdigest()}
    (tmp_path / "manifest.json").write_text(make_manifest(16, files=files).to_json())
    with pytest.raises(ArtefactError, match="keeps values in another file"):
        read_encoder(tmp_path)


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_what_is_cut_off_is_no_onnx_file(cut: int) -> None:
    onnx = in_initializer(make_tensor(elsewhere=True)).SerializeToString()
    with pytest.raises(ValueError, match="cut off"):
        refers_to_files(onnx[:-cut])
