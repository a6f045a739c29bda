"""A trial's id changes with all that decides its result, and with nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from ioa.errors import StudyError
from ioa.research.studies.configuration import Split, StudyConfig
from ioa.research.studies.trials import DatasetFacts, Trial, list_trials
from server_classifier.heads.settings import TrainingSettings

FACTS = DatasetFacts(
    name="all",
    digest="d" * 64,
    encoder_id="e" * 64,
    rows=90,
    sites=("east", "north"),
    labels=("cat", "dog"),
    groups=30,
    with_subject=0,
    with_image=90,
)


def list_of(**changes: Any) -> list[Trial]:
    config = StudyConfig(**{"name": "made", "datasets": ("all",), "seeds": (0,)} | changes)
    return list_trials(config, (FACTS,))


FIRST = list_of()[0]


@pytest.mark.parametrize(
    "other",
    [
        replace(FIRST, seed=1),
        replace(FIRST, fold="2"),
        replace(FIRST, split=Split(folds=6)),
        replace(FIRST, variant=replace(FIRST.variant, digest="c" * 64)),
        replace(FIRST, variant=replace(FIRST.variant, encoder_id="c" * 64)),
        replace(FIRST, variant=replace(FIRST.variant, head="linear")),
        replace(FIRST, variant=replace(FIRST.variant, settings=TrainingSettings(epochs=9))),
    ],
)
def test_what_decides_the_result_changes_the_id(other: Trial) -> None:
    assert other.id != FIRST.id


def test_the_name_of_a_dataset_decides_nothing() -> None:
    assert replace(FIRST, variant=replace(FIRST.variant, dataset="same")).id == FIRST.id


def test_every_combination_is_a_trial() -> None:
    settings = (TrainingSettings(dropout=0.1), TrainingSettings(dropout=0.3))
    trials = list_of(seeds=(0, 1, 2), settings=settings, split=Split(folds=4))
    assert len({trial.id for trial in trials}) == len(trials) == 3 * 2 * 4


def test_settings_that_a_linear_head_has_not_make_no_trials() -> None:
    settings = (TrainingSettings(dropout=0.1), TrainingSettings(dropout=0.3))
    trials = list_of(heads=("linear",), settings=settings)
    assert [trial.fold for trial in trials] == ["1", "2", "3", "4", "5"]
    assert trials[0].variant.settings.hidden == ()


def test_each_site_is_held_out_in_turn() -> None:
    assert [trial.fold for trial in list_of(split=Split(hold_out="site"))] == ["east", "north"]


def test_subjects_that_nobody_names_cannot_be_held_out() -> None:
    split = Split(hold_out="subject", share=0.2)
    with pytest.raises(StudyError, match="no latent of dataset all names one"):
        list_of(split=split)
    config = StudyConfig(name="made", datasets=("all",), seeds=(0,), split=split)
    named = FACTS.model_copy(update={"with_subject": 1})
    assert [trial.fold for trial in list_trials(config, (named,))] == ["held out"]


def test_another_encoder_of_a_dataset_has_other_sites() -> None:
    other = FACTS.model_copy(update={"encoder_id": "c" * 64, "sites": ("south", "west")})
    config = StudyConfig(name="made", datasets=("all",), seeds=(0,), split=Split(hold_out="site"))
    trials = list_trials(config, (FACTS, other))
    assert [trial.fold for trial in trials] == ["east", "north", "south", "west"]
