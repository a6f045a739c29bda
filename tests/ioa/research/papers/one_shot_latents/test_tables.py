"""What the tables say of pictures and answers whose scores are known."""

import numpy as np
import pytest

from client_autoencoder.images.batches import ImageBatch
from ioa.research.papers.one_shot_latents.tables import (
    tabulate_classification,
    tabulate_controls,
    tabulate_reconstruction,
)
from ioa.research.reporting.spread import summarise

ALL = {"all": np.arange(4), "first two": np.arange(2)}


@pytest.fixture
def unseen() -> ImageBatch:
    pixels = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    return ImageBatch(pixels, ["a", "b", "b", "b"], [f"unseen[{i}]" for i in range(4)])


def predict(name: str, true: str, label: str, probability: float) -> dict[str, object]:
    other = "b" if true == "a" else "a"
    probabilities = {true: probability, other: 1 - probability}
    return {"name": name, "true_label": true, "label": label, "probabilities": probabilities}


def test_a_copy_is_perfect_and_a_constant_picture_has_no_skill(unseen: ImageBatch) -> None:
    mean_image = unseen.images.mean(axis=0)
    table = tabulate_reconstruction(unseen, unseen.images, mean_image, ALL)["all"]
    copy = table["reconstruction"]["total"]
    assert (copy["mse"], copy["skill"], copy["delta_eq9"]) == (0, 1, 0)
    assert copy["ssim"] == pytest.approx(1)
    assert table["mean image"]["total"]["skill"] == 0
    assert table["all-black image"]["total"]["skill"] < 0


def test_an_all_black_image_of_the_papers_size_passes_by_equation_9() -> None:
    ink = np.zeros((1, 1, 28, 28), np.float32)
    ink[:, :, 10:18, 10:18] = 1  # 64 of 784 pixels: mse 0.0816, a digit's worth
    images = ImageBatch(ink, ["1"], ["unseen[0]"])
    table = tabulate_reconstruction(images, ink, ink[0], {"all": np.arange(1)})["all"]
    black = table["all-black image"]["total"]
    assert black["mse"] == pytest.approx(64 / 784)
    assert black["delta_eq9"] == pytest.approx(8 / 784)  # sqrt(64) / 784: 98.98 % by "1 - delta"


def test_accuracy_and_equation_10_count_by_class_and_subset(unseen: ImageBatch) -> None:
    predictions = [
        predict("unseen[3]", "b", "b", 1.0),
        predict("unseen[0]", "a", "a", 0.8),
        predict("unseen[1]", "b", "a", 0.4),
        predict("unseen[2]", "b", "b", 0.9),
    ]
    table = tabulate_classification(unseen, predictions, ALL)
    assert table["all"]["total"]["accuracy"] == 0.75
    assert table["all"]["total"]["l1_error"] == pytest.approx((0.2 + 0.6 + 0.1 + 0) / 4)
    assert table["all"]["classes"]["b"]["accuracy"] == pytest.approx(2 / 3)
    assert table["first two"]["total"]["accuracy"] == 0.5


def test_controls_are_counted_on_every_subset() -> None:
    table = tabulate_controls({"pixels": [1, 0, 1, 1]}, ALL)
    assert table == {"all": {"pixels": 0.75}, "first two": {"pixels": 0.5}}


def test_a_summary_has_mean_and_sample_spread() -> None:
    summary = summarise([{"x": {"y": 1.0}}, {"x": {"y": 3.0}}])
    assert summary == {"x": {"y": {"mean": 2.0, "sd": pytest.approx(2**0.5)}}}
    assert summarise([{"y": 1.0}]) == {"y": {"mean": 1.0, "sd": None}}


def test_a_class_that_one_seed_lacks_counts_where_it_occurs() -> None:
    summary = summarise([{"a": {"y": 1.0}}, {"a": {"y": 3.0}, "b": {"y": 5.0}}])
    assert summary["b"] == {"y": {"mean": 5.0, "sd": None}}


def test_a_class_may_be_called_total() -> None:
    images = ImageBatch(np.zeros((2, 1, 8, 8), np.float32), ["total", "b"], ["0", "1"])
    predictions = [predict("0", "total", "total", 1.0), predict("1", "b", "a", 0.0)]
    table = tabulate_classification(images, predictions, {"all": np.arange(2)})["all"]
    assert table["total"]["accuracy"] == 0.5
    assert table["classes"]["total"]["accuracy"] == 1
