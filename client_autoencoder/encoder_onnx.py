"""The encoder as an ONNX model, which clients run without PyTorch.

The graph is built node by node: ``torch.onnx.export`` makes the same graph in 5 seconds instead
of 0.05, needs onnxscript, and its bytes change with the version of torch.
"""

from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from client_autoencoder.autoencoder import AutoencoderConfig, Encoder

_OPSET = 17
_IR_VERSION = 8  # of the same age as the opset: every ONNX Runtime since 1.12 reads it
_LEAKY_SLOPE = 0.01  # the default of torch's leaky_relu


def build_onnx(encoder: Encoder, config: AutoencoderConfig) -> bytes:
    """Return the encoder as ONNX: ``images`` [N, 1, H, W] to ``latents`` [N, D], N free.

    The same weights give the same bytes.
    """
    images: list[int | str | None] = ["N", 1, config.height, config.width]
    graph = helper.make_graph(
        _nodes(config),
        "encoder",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, images)],
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", config.latent_dim])],
        [
            numpy_helper.from_array(weights.numpy(), name)
            for name, weights in encoder.state_dict().items()
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


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
