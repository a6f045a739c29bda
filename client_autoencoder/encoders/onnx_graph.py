"""The encoder as an ONNX model, which clients run without PyTorch."""

from client_autoencoder.encoders.autoencoder import AutoencoderConfig, Encoder
from stream.networks import layers
from stream.networks.int8_weights import WeightType
from stream.networks.onnx_file import End, write_onnx

_LEAKY_SLOPE = 0.01  # the default of torch's leaky_relu
_CODED = ("hidden.weight", "latent.weight")


def build_onnx(encoder: Encoder, config: AutoencoderConfig, weights: WeightType) -> bytes:
    """Return the encoder as ONNX: ``images`` [N, 1, H, W] to ``latents`` [N, D], N free.

    The same weights give the same bytes. For int8 they must be rounded before; see
    ``round_encoder``.
    """
    stored = {name: values.numpy() for name, values in encoder.state_dict().items()}
    convolution, hidden, latent = (
        (name, stored[f"{name}.weight"], stored[f"{name}.bias"])
        for name in ("convolution", "hidden", "latent")
    )
    return write_onnx(
        "encoder",
        [
            layers.convolution("maps", *convolution, padding=config.kernel // 2),
            layers.relu("active_maps"),
            layers.max_pool("pooled", config.pool),
            layers.flatten("features"),
            layers.linear("units", *hidden),
            layers.leaky_relu("active_units", _LEAKY_SLOPE),
            layers.linear("latents", *latent),
        ],
        given=End("images", (1, config.height, config.width)),
        made=End("latents", (config.latent_dim,)),
        coded=_CODED if weights == "int8" else (),
    )
