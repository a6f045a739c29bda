"""Each layer computes on ONNX Runtime what torch computes; the same layers are the same file."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import normalize

from stream.networks import layers
from stream.networks.layers import Layer
from stream.networks.onnx_file import End, write_onnx
from stream.networks.torch_layers import UnknownLayer, read_layers

MAPS = (6, 8, 10)
ROW = (20,)


def norm(features: int, kind: type[nn.BatchNorm1d | nn.BatchNorm2d]) -> nn.Module:
    module = kind(features)
    with torch.no_grad():
        for values in (module.weight, module.bias, module.running_mean):
            values.normal_()
        module.running_var.uniform_(0.1, 3)
    return module


def run(file: bytes, values: NDArray[np.float32]) -> NDArray[np.float32]:
    (made,) = onnxruntime.InferenceSession(file).run(None, {"given": values})
    assert isinstance(made, np.ndarray)
    return made


def compare(listed: list[Layer], expected: Callable[[torch.Tensor], torch.Tensor], shape) -> None:
    values = torch.randn(5, *shape)
    with torch.no_grad():
        truth = expected(values).numpy()
    made = End(listed[-1].output, truth.shape[1:])
    file = write_onnx("tested", listed, given=End("given", shape), made=made)
    np.testing.assert_allclose(run(file, values.numpy()), truth, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("modules", "shape"),
    [
        ([nn.Conv2d(6, 4, 3)], MAPS),
        ([nn.Conv2d(6, 4, 5, stride=2, padding=2)], MAPS),
        ([nn.Conv2d(6, 4, 1, bias=False)], MAPS),
        ([nn.Conv2d(6, 4, 3, padding=1), norm(4, nn.BatchNorm2d)], MAPS),
        ([nn.Conv2d(6, 4, 3, bias=False), norm(4, nn.BatchNorm2d), nn.ReLU()], MAPS),
        ([nn.Linear(20, 7)], ROW),
        ([nn.Linear(20, 7, bias=False), norm(7, nn.BatchNorm1d), nn.Dropout(0.5)], ROW),
        ([nn.ReLU()], MAPS),
        ([nn.LeakyReLU(0.2)], MAPS),
        ([nn.Hardtanh(0, 1)], MAPS),
        ([nn.LocalResponseNorm(5)], MAPS),
        ([nn.LocalResponseNorm(3, alpha=0.5, beta=0.6, k=2)], MAPS),
        ([nn.MaxPool2d(2)], MAPS),
        ([nn.MaxPool2d(3, 2)], MAPS),
        ([nn.AvgPool2d(2)], MAPS),
        ([nn.AdaptiveAvgPool2d(1)], MAPS),
        ([nn.Flatten()], MAPS),
        ([nn.Linear(20, 3), nn.Softmax(dim=1)], ROW),
        ([nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()], MAPS),
    ],
    ids=lambda value: "-".join(type(part).__name__ for part in value) if value else None,
)
def test_modules_are_written_as_torch_computes_them(
    modules: list[nn.Module], shape: tuple[int, ...]
) -> None:
    network = nn.Sequential(*modules).eval()
    compare(read_layers(network.named_children()), network, shape)


WEIGHT, BIAS = torch.randn(6, 6, 3, 3), torch.randn(6)
CONVOLUTION = layers.convolution("left", "left", WEIGHT.numpy(), BIAS.numpy(), padding=1)


@pytest.mark.parametrize(
    ("listed", "expected", "shape"),
    [
        ([layers.subtract("made", "mean", np.full(1, 2, np.float32))], lambda x: x - 2, ROW),
        ([layers.divide("made", "scale", np.arange(1, 21, dtype=np.float32))],
         lambda x: x / torch.arange(1, 21), ROW),
        ([layers.normalise("made")], normalize, ROW),
        ([layers.relu("active"), CONVOLUTION, layers.add("made", "active")],
         lambda x: x.relu() + torch.conv2d(x.relu(), WEIGHT, BIAS, padding=1), MAPS),
    ],
    ids=["subtract", "divide", "normalise", "add"],
)  # fmt: skip
def test_layers_that_are_no_modules(listed, expected, shape) -> None:
    compare(listed, expected, shape)


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        ([nn.Sigmoid()], "0 is a Sigmoid; a network may have Conv2d"),
        ([nn.BatchNorm2d(6)], "0 does not follow a convolution"),
        ([nn.ReLU(), nn.BatchNorm2d(6)], "1 does not follow a convolution"),
        ([nn.Conv2d(6, 6, 3, groups=2)], "0 has groups"),
        ([nn.Conv2d(6, 6, 3, dilation=2)], "0 has groups"),
        ([nn.Conv2d(6, 6, 3, stride=(1, 2))], "unequal strides"),
        ([nn.Conv2d(6, 6, 3, padding="same")], "other borders"),
        ([nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect")], "other borders"),
        ([nn.MaxPool2d(2, padding=1)], "0 has a border"),
        ([nn.MaxPool2d(2, ceil_mode=True)], "half windows"),
        ([nn.AvgPool2d((2, 3))], "no squares"),
        ([nn.AdaptiveAvgPool2d(2)], "0 makes maps of more than one number"),
        ([nn.LocalResponseNorm(4)], "no middle"),
        ([nn.Flatten(2)], "0 does not flatten the whole image"),
        ([nn.Softmax(dim=2)], "0 is not over the classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(modules: list[nn.Module], named: str) -> None:
    network = nn.Sequential(*modules).eval()
    with pytest.raises(UnknownLayer, match=named):
        read_layers(network.named_children())


def test_a_batch_normalisation_in_training_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(UnknownLayer, match=r"1 still takes its statistics from each batch"):
        read_layers(network.named_children())


def test_a_shape_that_the_layers_do_not_make_is_refused() -> None:
    flat = [layers.flatten("made")]
    with pytest.raises(onnx.shape_inference.InferenceError):
        write_onnx("tested", flat, given=End("given", MAPS), made=End("made", (479,)))


def test_the_same_layers_give_the_same_bytes_of_an_old_opset() -> None:
    files = {
        write_onnx("tested", [CONVOLUTION], given=End("given", MAPS), made=End("left", MAPS))
        for _ in range(3)
    }
    (file,) = files
    model = onnx.load_from_string(file)
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
