import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from server_classifier.heads.network import HeadNetwork
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit
from tests.server_classifier.stored import make_clusters

QUICK = TrainingSettings(epochs=3, min_steps=30)


def run_torch(model: HeadNetwork, latents: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        probabilities: NDArray[np.float32] = model(torch.from_numpy(latents)).softmax(dim=1).numpy()
    return probabilities


def run_onnx(file: bytes, latents: NDArray[np.float32]) -> NDArray[np.float32]:
    (probabilities,) = onnxruntime.InferenceSession(file).run(None, {"latents": latents})
    assert isinstance(probabilities, np.ndarray)
    return probabilities


@pytest.mark.parametrize(
    ("scale", "offset"),
    [
        pytest.param(1.0, 0.0, id="standard"),
        pytest.param(1e-3, 0.0, id="small"),
        pytest.param(0.01, 1000.0, id="mean far above spread"),
        pytest.param(1e4, -1e5, id="large"),
    ],
)
def test_the_file_computes_what_the_model_computes(scale: float, offset: float) -> None:
    latents, targets = make_clusters(300, classes=5, latent_dim=16)
    latents = (latents * scale + offset).astype(np.float32)
    model, _ = fit(latents, targets, seed=3, settings=QUICK)
    np.testing.assert_allclose(
        run_onnx(export_onnx(model), latents), run_torch(model, latents), atol=1e-5, rtol=0
    )


def test_the_same_weights_give_the_same_bytes() -> None:
    latents, targets = make_clusters(50, classes=2, latent_dim=4)
    files = [export_onnx(fit(latents, targets, seed=0, settings=QUICK)[0]) for _ in range(2)]
    assert files[0] == files[1]


def test_the_file_takes_any_number_of_latents_and_names_its_ends() -> None:
    latents, targets = make_clusters(50, classes=3, latent_dim=4)
    file = export_onnx(fit(latents, targets, seed=0, settings=QUICK)[0])
    session = onnxruntime.InferenceSession(file)
    (taken,), (given) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == ("latents", ["N", 4])
    assert [(output.name, output.shape) for output in given] == [("probabilities", ["N", 3])]
    for rows in (1, 2, 50):
        assert run_onnx(file, latents[:rows]).shape == (rows, 3)


def test_nothing_of_the_training_is_left_in_the_graph() -> None:
    latents, targets = make_clusters(50, classes=3, latent_dim=4)
    file = export_onnx(fit(latents, targets, seed=0, settings=QUICK)[0])
    operators = [node.op_type for node in onnx.load_from_string(file).graph.node]
    hidden = ["Gemm", "Relu"]
    assert operators == ["Sub", "Div", *hidden * 3, "Gemm", "Softmax"]
