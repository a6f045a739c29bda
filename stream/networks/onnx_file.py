"""A list of layers as an ONNX file, which runs without PyTorch.

The graph is written node by node: ``torch.onnx.export`` takes 5 seconds for the same graph instead
of 0.05, needs onnxscript, and its bytes change with the version of torch. Here the same layers
always give the same bytes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from stream.networks.int8_weights import to_codes
from stream.networks.layers import Layer, Weights

OPSET = 17
IR_VERSION = 8  # of the same age as the opset: every ONNX Runtime since 1.12 reads it


class End(NamedTuple):
    """The input or the output of a network: its name, and its shape for one image."""

    name: str
    shape: tuple[int, ...]


def write_onnx(
    name: str, layers: Sequence[Layer], *, given: End, made: End, coded: Sequence[str] = ()
) -> bytes:
    """Return the network as ONNX, for any number N of images.

    Args:
        name: of the graph.
        given: what the first layer takes.
        made: the output of the last layer.
        coded: names of matrices that are stored as int8 codes. Their values must be rounded to
            such before, by ``round_weights``.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the layers do not fit
            together, or do not make what ``made`` says.
    """
    graph = helper.make_graph(
        [*_restore(coded), *_connect(layers, given.name)],
        name,
        [_describe(given)],
        [_describe(made)],
        [
            tensor
            for layer in layers
            for own, values in layer.weights.items()
            for tensor in _store(own, values, coded=own in coded)
        ],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    checker.check_model(model, full_check=True)
    file: bytes = model.SerializeToString(deterministic=True)
    return file


def _connect(layers: Sequence[Layer], given: str) -> Iterator[NodeProto]:
    for layer in layers:
        others = [] if layer.other is None else [layer.other]
        inputs = [given, *others, *layer.weights]
        yield helper.make_node(layer.operator, inputs, [layer.output], **layer.attributes)
        given = layer.output


def _describe(end: End) -> ValueInfoProto:
    return helper.make_tensor_value_info(end.name, TensorProto.FLOAT, ["N", *end.shape])


def _store(name: str, values: Weights, *, coded: bool) -> list[TensorProto]:
    if not coded:
        return [numpy_helper.from_array(np.asarray(values, order="C"), name)]
    codes, scales = to_codes(values)
    return [
        numpy_helper.from_array(codes, f"{name}.codes"),
        numpy_helper.from_array(scales, f"{name}.scales"),
    ]


def _restore(coded: Sequence[str]) -> Iterator[NodeProto]:
    """Yield nodes that turn codes into weights; ONNX Runtime runs them once, at loading."""
    for name in coded:
        codes, steps, scales = f"{name}.codes", f"{name}.steps", f"{name}.scales"
        yield helper.make_node("Cast", [codes], [steps], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [steps, scales], [name])
