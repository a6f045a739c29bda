"""Training learns, repeats itself bit by bit, and scores images it has not seen."""

import numpy as np
import pytest
import torch

from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.training import TrainedEncoder, train
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from stream.threads import one_thread

SMALL = AutoencoderConfig(9, 9, 4, hidden=16)


def run_briefly(images: ImageBatch, seed: int) -> TrainedEncoder:
    options = TrainingOptions(epochs=2)
    return train(images.images, SMALL, options, torch.Generator().manual_seed(seed))


def weights(trained: TrainedEncoder) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(
        [*trained.edge.parameters(), *trained.fitted.decoder.parameters()]
    )


def test_held_out_images_are_restored(trained: TrainedEncoder) -> None:
    assert (trained.training_images, trained.held_out_images) == (135, 15)
    assert trained.fitted.quality > 0.7
    assert trained.fitted.scores["psnr_db"] > 13
    assert trained.values.shape == (135, 6)


def test_the_same_seed_gives_the_same_bits(public_images: ImageBatch) -> None:
    first, again, other = (run_briefly(public_images, seed) for seed in (5, 5, 6))
    assert torch.equal(weights(first), weights(again))
    assert first.fitted.scores == again.fitted.scores
    assert not torch.equal(weights(first), weights(other))


def test_a_training_without_skill_is_begun_again_and_the_best_is_kept(
    public_images: ImageBatch,
) -> None:
    def train_briefly(attempts: int) -> TrainedEncoder:
        options = TrainingOptions(epochs=2, enough_skill=1.0, attempts=attempts)
        generator = torch.Generator().manual_seed(3)
        return train(public_images.images, SMALL, options, generator)

    single, many = train_briefly(1), train_briefly(6)
    assert (single.attempts, many.attempts) == (1, 6)
    assert many.fitted.quality > single.fitted.quality


def test_a_training_with_skill_is_done_once(trained: TrainedEncoder) -> None:
    assert trained.attempts == 1


def test_progress_counts_epochs_and_the_loss_falls(public_images: ImageBatch) -> None:
    seen: list[tuple[int, int, float]] = []
    train(
        public_images.images,
        SMALL,
        TrainingOptions(epochs=20, attempts=1),
        torch.Generator().manual_seed(0),
        lambda done, total, loss: seen.append((done, total, loss)),
    )
    assert [(done, total) for done, total, _ in seen] == [(epoch, 20) for epoch in range(1, 21)]
    assert seen[-1][2] < 0.5 * seen[0][2]


def test_the_images_are_left_as_they_are(public_images: ImageBatch) -> None:
    before = public_images.images.copy()
    run_briefly(public_images, seed=0)
    assert np.array_equal(public_images.images, before)


@pytest.mark.parametrize(("images", "epochs"), [(100, 200), (600, 80), (5000, 10), (60_000, 5)])
def test_small_sets_are_passed_more_often(images: int, epochs: int) -> None:
    assert TrainingOptions().epochs_for(images) == epochs
    assert TrainingOptions(epochs=3).epochs_for(images) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_images(public_images: ImageBatch, count: int) -> None:
    with pytest.raises(ClientError, match=f"{count} images are too few"):
        run_briefly(public_images.select(range(count)), seed=0)


def test_the_number_of_threads_is_given_back() -> None:
    before = torch.get_num_threads()
    with one_thread(torch):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
