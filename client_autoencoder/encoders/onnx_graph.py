"""The encoder as an ONNX model, which clients run without PyTorch.

The graph is built node by node: ``torch.onnx.export`` takes 5 seconds for the same graph instead
of 0.05, needs onnxscript, and its bytes change with the version of torch.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from client_autoencoder.encoders.autoencoder import AutoencoderConfig, Encoder
from client_autoencoder.encoders.int8_weights import WeightType, to_codes

_OPSET = 17
_IR_VERSION = 8  # of the same age as the opset: every ONNX Runtime since 1.12 reads it
_LEAKY_SLOPE = 0.01  # the default of torch's leaky_relu
_CODED = ("hidden.weight", "latent.weight")


def build_onnx(encoder: Encoder, config: AutoencoderConfig, weights: WeightType) -> bytes:
    """Return the encoder as ONNX: ``images`` [N, 1, H, W] to ``latents`` [N, D], N free.

    The same weights give the same bytes. For int8 they must be rounded before; see
    ``round_weights``.
    """
    images: list[int | str | None] = ["N", 1, config.height, config.width]
    coded = _CODED if weights == "int8" else ()
    graph = helper.make_graph(
        [*(node for name in coded for node in _restore(name)), *_nodes(config)],
        "encoder",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, images)],
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", config.latent_dim])],
        [
            tensor
            for name, values in encoder.state_dict().items()
            for tensor in _store(name, values.numpy(), coded=name in coded)
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def _store(name: str, values: NDArray[np.float32], *, coded: bool) -> list[TensorProto]:
    if not coded:
        return [numpy_helper.from_array(values, name)]
    codes, scales = to_codes(values)
    return [
        numpy_helper.from_array(codes, f"{name}.codes"),
        numpy_helper.from_array(scales, f"{name}.scales"),
    ]


def _restore(name: str) -> list[NodeProto]:
    """Return nodes that turn codes into weights; ONNX Runtime runs them once, at loading."""
    return [
        _node("Cast", [f"{name}.codes"], f"{name}.steps", to=TensorProto.FLOAT),
        _node("Mul", [f"{name}.steps", f"{name}.scales"], name),
    ]


def _nodes(config: AutoencoderConfig) -> list[NodeProto]:
    """Return the layers of ``Encoder.forward``, each fed by the one before it."""
    border = [config.kernel // 2] * 4
    square = [config.pool] * 2
    return [
        _node("Conv", ["images", *_weights("convolution")], "maps", pads=border),
        _node("Relu", ["maps"], "active_maps"),
        _node("MaxPool", ["active_maps"], "pooled", kernel_shape=square, strides=square),
        _node("Flatten", ["pooled"], "features"),
        _node("Gemm", ["features", *_weights("hidden")], "units", transB=1),
        _node("LeakyRelu", ["units"], "active_units", alpha=_LEAKY_SLOPE),
        _node("Gemm", ["active_units", *_weights("latent")], "latents", transB=1),
    ]


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def _weights(layer: str) -> list[str]:
    return [f"{layer}.weight", f"{layer}.bias"]
