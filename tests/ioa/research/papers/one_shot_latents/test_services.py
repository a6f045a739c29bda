"""What the experiment asks of the commands that it runs."""

import pytest

from ioa.research.papers.one_shot_latents.plan import Encoding, Plan
from ioa.research.papers.one_shot_latents.services import encoder_trainings, own_trainings


@pytest.mark.parametrize("encoder", ["shared", "own", "one-client"])
def test_encoders_have_the_weights_of_the_published_tables(encoder: Encoding) -> None:
    plan = Plan("mnist.npz", encoder=encoder)
    trainings = [*encoder_trainings(plan, 0), *own_trainings(plan, 0)]
    assert {training.weights for training in trainings} == {"float32"}
