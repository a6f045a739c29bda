import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from server_classifier.heads.network import HeadNetwork
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import Learner, Trained, TrainingError, fit, fit_stack
from tests.server_classifier.stored import make_clusters

QUICK = TrainingSettings(epochs=2, min_steps=1)


def predict(model: HeadNetwork, latents: NDArray[np.float32]) -> NDArray[np.int64]:
    with torch.no_grad():
        classes: NDArray[np.int64] = model(torch.from_numpy(latents)).argmax(dim=1).numpy()
    return classes


def read_weights(model: HeadNetwork) -> list[Tensor]:
    return list(model.state_dict().values())


def test_it_learns_to_tell_clusters_apart() -> None:
    latents, targets = make_clusters(200, classes=4, latent_dim=8)
    model, report = fit(latents, targets, seed=0, settings=TrainingSettings(min_steps=200))
    unseen, truth = make_clusters(400, classes=4, latent_dim=8, seed=1)
    assert (predict(model, unseen) == truth).mean() > 0.95
    assert report.loss < 0.5
    assert (report.rows, report.epochs, report.steps) == (200, 50, 200)


def test_the_scale_of_the_latents_does_not_matter() -> None:
    latents, targets = make_clusters(200, classes=4, latent_dim=8)
    stretched = latents * np.float32(1e4) + np.float32(3e5)
    model, _ = fit(stretched, targets, seed=0, settings=TrainingSettings(min_steps=200))
    assert (predict(model, stretched) == targets).mean() > 0.95


def test_a_seed_fixes_every_weight() -> None:
    latents, targets = make_clusters(150, classes=3, latent_dim=8)
    first, again, other = (fit(latents, targets, seed=s, settings=QUICK)[0] for s in (1, 1, 2))
    pairs = list(zip(read_weights(first), read_weights(again), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(read_weights(first)[2], read_weights(other)[2])


def test_torch_is_left_as_it_was() -> None:
    latents, targets = make_clusters(20, classes=2, latent_dim=4)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    try:
        fit(latents, targets, seed=0, settings=QUICK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("batch_size", [2, 3, 64])
@pytest.mark.parametrize("rows", [2, 3, 63, 64, 65, 129])
def test_no_number_of_rows_breaks_batch_normalisation(rows: int, batch_size: int) -> None:
    latents, targets = make_clusters(rows, classes=2, latent_dim=4)
    settings = TrainingSettings(epochs=2, min_steps=1, batch_size=batch_size)
    model, report = fit(latents, targets, seed=0, settings=settings)
    assert all(torch.isfinite(weight).all() for weight in read_weights(model))
    assert report.steps == 2 * settings.steps_for(rows)


def test_the_narrowest_and_shortest_training_allowed_works() -> None:
    latents, targets = make_clusters(20, classes=2, latent_dim=4)
    settings = TrainingSettings(
        hidden=(1,), dropout=0, epochs=1, min_steps=1, max_steps=1, weight_decay=0
    )
    model, report = fit(latents, targets, seed=0, settings=settings)
    assert report.steps == 1
    assert [tuple(weight.shape) for weight in model.parameters() if weight.ndim > 1] == [
        (1, 4),
        (2, 1),
    ]


def test_a_class_of_one_row_is_learned() -> None:
    latents, targets = make_clusters(60, classes=2, latent_dim=4)
    latents[7], targets[7] = 9.0, 2
    model, _ = fit(latents, targets, seed=0, settings=TrainingSettings(min_steps=200))
    assert predict(model, latents[7:8]).tolist() == [2]


def test_a_latent_that_never_varies_is_harmless() -> None:
    latents, targets = make_clusters(100, classes=2, latent_dim=4)
    latents[:, 1] = 0.1
    model, _ = fit(latents, targets, seed=0, settings=TrainingSettings(min_steps=100))
    assert (predict(model, latents) == targets).all()
    assert model.scale[1] == 1


@pytest.mark.parametrize(
    ("shape", "targets", "reason"),
    [
        pytest.param((3, 4), [0, 0, 0], "at least two labels", id="one class"),
        pytest.param((0, 4), [], "at least two labels", id="nothing"),
        pytest.param((3, 4), [0, 1], "do not fit together", id="too few targets"),
        pytest.param((3,), [0, 1, 0], "do not fit together", id="no matrix"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    shape: tuple[int, ...], targets: list[int], reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        fit(np.zeros(shape, np.float32), np.array(targets, np.int64), seed=0)


def test_progress_is_told_and_may_end_the_training() -> None:
    latents, targets = make_clusters(20, classes=2, latent_dim=4)
    calls: list[tuple[int, int]] = []

    def end_at_two(done: int, epochs: int) -> None:
        calls.append((done, epochs))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(latents, targets, seed=0, settings=TrainingSettings(epochs=9, min_steps=1),
            on_epoch=end_at_two)  # fmt: skip
    assert calls == [(1, 9), (2, 9)]


@pytest.mark.parametrize("hidden", [(256, 128, 64), (13, 9), (1,), ()])
def test_a_network_learns_in_a_stack_what_it_learns_alone(hidden: tuple[int, ...]) -> None:
    latents, targets = make_clusters(157, classes=5, latent_dim=7)
    shape = TrainingSettings(hidden=hidden, epochs=3, min_steps=20)
    changes = [
        {},
        {"learning_rate": 3e-3},
        {"weight_decay": 0.1, "dropout": 0.0},
        {"dropout": 0.6},
    ]
    learners = [
        Learner(seed, shape.model_copy(update=change)) for seed, change in enumerate(changes)
    ]
    for learner, stacked in zip(learners, fit_stack(latents, targets, learners), strict=True):
        alone, report = fit(latents, targets, seed=learner.seed, settings=learner.settings)
        assert isinstance(stacked, Trained)
        pairs = zip(read_weights(stacked.model), read_weights(alone), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        assert stacked.report.loss == report.loss


def test_a_network_that_diverges_harms_no_other() -> None:
    latents, targets = make_clusters(100, classes=2, latent_dim=4)
    wild = QUICK.model_copy(update={"weight_decay": 1e30})
    lost, kept = fit_stack(latents, targets, [Learner(0, wild), Learner(1, QUICK)])
    assert isinstance(lost, TrainingError)
    assert isinstance(kept, Trained)
    alone, _ = fit(latents, targets, seed=1, settings=QUICK)
    pairs = zip(read_weights(kept.model), read_weights(alone), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
