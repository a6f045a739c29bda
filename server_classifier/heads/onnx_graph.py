"""The classifier as an ONNX file: ``latents`` [N, D] float32 to ``probabilities`` [N, P] float32.

The graph is written node by node. torch's exporter takes seconds for this network, which is as long
as its training, while these ten nodes take milliseconds, need no further package, and the same
weights always give the same bytes.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper
from torch import Tensor, nn

from server_classifier.heads.perceptron import LatentClassifier

OPSET = 17
IR_VERSION = 8  # of the same age as the opset, so that an older runtime at a hospital reads it too

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]  # weight [out, in], bias [out]


def export_onnx(model: LatentClassifier) -> bytes:
    """Return the trained model as an ONNX file; dropout is gone, batch normalisation folded in.

    The standardiser stays a subtraction and a division of its own: folded into the first layer it
    would lose digits wherever a latent's mean is large beside its spread.
    """
    layers = fold_batch_norm(model.layers)
    nodes = [
        helper.make_node("Sub", ["latents", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["hidden0"]),
    ]
    tensors = [_initializer("mean", _array(model.mean)), _initializer("scale", _array(model.scale))]
    for number, (weight, bias) in enumerate(layers, 1):
        tensors += [_initializer(f"weight{number}", weight), _initializer(f"bias{number}", bias)]
        nodes += _layer_nodes(number, last=number == len(layers))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    return _serialise(nodes, tensors, len(model.mean), len(layers[-1][1]))


def fold_batch_norm(layers: nn.Sequential) -> list[Layer]:
    """Return weight and bias of each linear layer, with the batch normalisation behind it in both.

    gamma (Wx + b - m) / sqrt(v + eps) + beta is linear in x. Computed in float64.
    """
    folded: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for layer in layers:
        if isinstance(layer, nn.Linear):
            bias = np.zeros(layer.out_features) if layer.bias is None else _wide(layer.bias)
            folded.append((_wide(layer.weight), bias))
        elif isinstance(layer, nn.BatchNorm1d):
            weight, bias = folded[-1]
            factor = _wide(layer.weight) / np.sqrt(_wide(layer.running_var) + layer.eps)
            shift = _wide(layer.bias) - factor * _wide(layer.running_mean)
            folded[-1] = (factor[:, None] * weight, factor * bias + shift)
    return [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in folded]


def _layer_nodes(number: int, *, last: bool) -> list[NodeProto]:
    inputs = [f"hidden{number - 1}", f"weight{number}", f"bias{number}"]
    if last:
        return [helper.make_node("Gemm", inputs, ["logits"], transB=1)]
    return [
        helper.make_node("Gemm", inputs, [f"sum{number}"], transB=1),
        helper.make_node("Relu", [f"sum{number}"], [f"hidden{number}"]),
    ]


def _serialise(
    nodes: list[NodeProto], tensors: list[TensorProto], latent_dim: int, classes: int
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", latent_dim])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes])],
        tensors,
    )
    model: ModelProto = helper.make_model(
        graph,
        producer_name="ioa",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    checker.check_model(model, full_check=True)
    file: bytes = model.SerializeToString(deterministic=True)
    return file


def _initializer(name: str, array: NDArray[np.float32]) -> TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array


def _wide(tensor: Tensor | None) -> NDArray[np.float64]:
    if tensor is None:
        raise TypeError("batch normalisation without weights or running statistics")
    return _array(tensor).astype(np.float64)
