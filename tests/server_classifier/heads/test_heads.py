"""What every head has in common, one row of the registry each."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from schemas.models.network_manifest import Output
from server_classifier.heads.head import TrainingError
from server_classifier.heads.latent_classifier import LatentClassifier, fit_together
from server_classifier.heads.registry import HEADS
from server_classifier.heads.settings import TrainingSettings
from stream.networks.packed_values import PackedValues
from stream.networks.packing import pack
from tests.server_classifier.stored import make_clusters

MAPS = (3, 5, 4)
LABELS = np.array(["cat", "dog", "newt"])
QUICK = TrainingSettings(min_steps=60, epochs=3)

heads = pytest.mark.parametrize("head", HEADS)


def make_maps(rows: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Return maps [rows, 3, 5, 4] and their labels."""
    values, targets = make_clusters(rows, classes=3, latent_dim=60, seed=seed)
    return values.reshape(rows, *MAPS), LABELS[targets]


def make_classifier(head: str, seed: int = 0) -> LatentClassifier:
    return LatentClassifier(QUICK.model_copy(update={"head": head}), random_state=seed)


def run_onnx(file: bytes, values: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = values.reshape(len(values), -1)
    (probabilities,) = onnxruntime.InferenceSession(file).run(None, {"latents": rows})
    assert isinstance(probabilities, np.ndarray)
    return probabilities


@heads
def test_it_learns_to_tell_maps_apart_and_answers_in_probabilities(head: str) -> None:
    classifier = make_classifier(head).fit(*make_maps(150))
    unseen, truth = make_maps(100, seed=1)
    assert classifier.score(unseen, truth) > 0.95
    probabilities = classifier.predict_proba(unseen)
    assert (classifier.classes_ == LABELS).all()
    assert (probabilities.shape, probabilities.dtype) == ((100, 3), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@heads
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.01, 1000.0), (1e4, -1e5)])
def test_its_file_computes_what_it_computes(head: str, scale: float, offset: float) -> None:
    values, labels = make_maps(150)
    values = (values * scale + offset).astype(np.float32)
    classifier = make_classifier(head).fit(values, labels)
    made = run_onnx(classifier.to_onnx(), values)
    np.testing.assert_allclose(made, classifier.predict_proba(values), atol=1e-5, rtol=0)


@heads
def test_its_file_takes_rows_of_numbers_whatever_the_maps_are(head: str) -> None:
    file = make_classifier(head).fit(*make_maps(30)).to_onnx()
    session = onnxruntime.InferenceSession(file)
    (taken,), (given) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == ("latents", ["N", 60])
    assert [(output.name, output.shape) for output in given] == [("probabilities", ["N", 3])]
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)


@heads
def test_the_same_seed_gives_the_same_bytes(head: str) -> None:
    values, labels = make_maps(60)
    first, again, other = (make_classifier(head, seed).fit(values, labels) for seed in (1, 1, 2))
    assert first.to_onnx() == again.to_onnx()
    assert (first.to_onnx() != other.to_onnx()) == (head != "ncm")  # means are not drawn


@heads
def test_packed_values_give_the_classifier_of_the_unpacked(head: str) -> None:
    values, labels = make_maps(60)
    output = Output(MAPS, -6.0, 6.0, ("float32", "int8", "int4"))
    vectors = [*pack(values[:20], "int8", output), *pack(values[20:40], "int4", output)]
    vectors += pack(values[40:], "float32", output)
    packed = PackedValues([v.dtype for v in vectors], [v.data for v in vectors], output)
    kept = make_classifier(head).fit(packed, labels)
    assert kept.to_onnx() == make_classifier(head).fit(packed[:], labels).to_onnx()
    np.testing.assert_array_equal(kept.predict_proba(packed), kept.predict_proba(packed[:]))


@heads
@pytest.mark.parametrize(
    ("rows", "labels", "reason"),
    [
        pytest.param(3, ["cat"] * 3, "at least two labels", id="one class"),
        pytest.param(3, ["cat", "dog"], "do not fit together", id="too few labels"),
        pytest.param(2, ["cat", "dog", "cat"], "do not fit together", id="too many labels"),
        pytest.param(0, [], "0 sample", id="nothing"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    head: str, rows: int, labels: list[str], reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        make_classifier(head).fit(np.zeros((rows, *MAPS), np.float32), labels)


@heads
@pytest.mark.parametrize("rows", [2, 3, 65])
def test_few_rows_and_a_number_that_never_varies_are_harmless(head: str, rows: int) -> None:
    values, labels = make_maps(rows)
    values[:, 1] = 0.1
    classifier = make_classifier(head).fit(values, labels)
    assert np.isfinite(classifier.predict_proba(values)).all()
    assert classifier.report_.rows == rows


@pytest.mark.parametrize("head", [name for name, head in HEADS.items() if head.needs_maps])
def test_a_head_for_maps_refuses_vectors(head: str) -> None:
    values, labels = make_maps(30)
    with pytest.raises(TrainingError, match=f"{head} learns from maps .* latents of 60 numbers"):
        make_classifier(head).fit(values.reshape(30, -1), labels)


@pytest.mark.parametrize("shape", [(60,), (60, 1, 1), (1, 1, 60), (4, 15, 1), (15, 2, 2)])
def test_the_head_follows_the_shape_where_none_is_named(shape: tuple[int, ...]) -> None:
    values, labels = make_maps(60)
    classifier = LatentClassifier(QUICK).fit(values.reshape(-1, *shape), labels)
    assert classifier.report_.settings.head == ("conv" if len(shape) == 3 else "mlp")
    assert classifier.score(values.reshape(-1, *shape), labels) > 0.9


@heads
def test_several_learn_at_once_what_each_learns_alone(head: str) -> None:
    values, labels = make_maps(60)
    together = [make_classifier(head, seed) for seed in (0, 1)]
    assert fit_together(together, values, labels) == [None, None]
    alone = [make_classifier(head, seed).fit(values, labels) for seed in (0, 1)]
    assert [each.to_onnx() for each in together] == [each.to_onnx() for each in alone]


@heads
def test_progress_is_told_and_may_end_the_training(head: str) -> None:
    calls: list[tuple[int, int]] = []

    def end(done: int, epochs: int) -> None:
        calls.append((done, epochs))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_classifier(head).fit(*make_maps(30), on_epoch=end)
    assert calls[0][0] == 1 <= calls[0][1]
