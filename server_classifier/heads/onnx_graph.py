"""The classifier as an ONNX file: ``latents`` [N, D] to ``probabilities`` [N, P], float32."""

from server_classifier.heads.perceptron import LatentClassifier
from stream.networks import layers
from stream.networks.onnx_file import End, write_onnx
from stream.networks.torch_layers import read_layers


def export_onnx(model: LatentClassifier) -> bytes:
    """Return the trained model as an ONNX file.

    The standardiser stays a subtraction and a division of its own: folded into the first layer it
    would lose digits wherever a latent's mean is large beside its spread.
    """
    return write_onnx(
        "classifier",
        [
            layers.subtract("centred", "mean", model.mean.numpy()),
            layers.divide("standardised", "scale", model.scale.numpy()),
            *read_layers((f"layer{name}", layer) for name, layer in model.layers.named_children()),
            layers.softmax("probabilities"),
        ],
        given=End("latents", tuple(model.mean.shape)),
        made=End("probabilities", (model.linear[-1].out_features,)),
    )
