"""What changed between two rows, and what it did."""

from pathlib import Path

import pytest

from ioa.cli.research.study_reports import print_comparison
from ioa.errors import StudyError
from ioa.research.reporting.conditions import Conditions, describe_others, read_conditions
from ioa.research.reporting.records import write_record
from ioa.research.studies.comparison import compare, read_side
from ioa.research.studies.configuration import Split, StudyConfig
from ioa.research.studies.plan import PLAN, StudyPlan, list_studies
from ioa.research.studies.scoring import Scores
from ioa.research.studies.trials import DatasetFacts, TrialRecord
from server_classifier.heads.settings import TrainingSettings

FACTS = DatasetFacts(
    name="all",
    digest="d" * 64,
    encoder_id="e" * 64,
    rows=90,
    sites=("east",),
    labels=("a", "b"),
    groups=90,
    with_subject=0,
    with_image=0,
)
CONDITIONS = Conditions(machine="made", versions={"torch": "1"}, commit=None)


def write_study(
    out: Path, name: str, dropouts: tuple[float, ...], *, digest: str = "d", torch: str = "1"
) -> None:
    """Write a study whose accuracy is 0.9 - dropout, plus a hundredth for each seed and fold."""
    config = StudyConfig(
        name=name,
        datasets=("all",),
        seeds=(0, 1),
        split=Split(folds=2),
        settings=tuple(TrainingSettings(dropout=share) for share in dropouts),
    )
    plan = StudyPlan(config=config, datasets=(FACTS.model_copy(update={"digest": digest * 64}),))
    write_record(out / name / PLAN, plan)
    for trial in plan.list_trials():
        luck = 0.01 * (trial.seed + int(trial.fold))
        record = TrialRecord(
            id=trial.id,
            dataset="all",
            trial=trial.describe(),
            scores=make_scores(0.9 - trial.variant.settings.dropout + luck),
            seconds=1,
            conditions=CONDITIONS.model_copy(update={"versions": {"torch": torch}}),
        )
        write_record(out / name / f"{trial.id}.json", record)


def make_scores(accuracy: float) -> Scores:
    return Scores(
        accuracy=accuracy,
        macro_f1=accuracy,
        loss=1 - accuracy,
        baseline=0.5,
        baseline_f1=0.3,
        accuracy_by_class={},
        accuracy_by_site={},
    )


def test_rows_of_one_study_are_paired_by_seed_and_fold(tmp_path: Path) -> None:
    write_study(tmp_path, "made", (0.1, 0.3))
    result = compare(read_side(tmp_path, "made:2"), read_side(tmp_path, "made:1"))
    assert result.changes == [("settings.dropout", "0.3", "0.1")]
    (effect,) = result.effects
    assert (effect.paired, effect.better) == (True, 4)
    accuracy = effect.differences["accuracy"]
    assert (accuracy.mean, accuracy.n) == (pytest.approx(0.2), 4)
    assert accuracy.sd == pytest.approx(0, abs=1e-9)
    assert effect.differences["loss"].mean == pytest.approx(-0.2)


def test_means_are_those_of_the_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_study(tmp_path, "made", (0.1, 0.3))
    first, second = read_side(tmp_path, "made:1"), read_side(tmp_path, "made:2")
    best = max(second.rows[0].results)
    del second.rows[0].results[best]
    comparison = compare(first, second)
    print_comparison(comparison)
    assert capsys.readouterr().out.endswith("1 trials without a counterpart are left out\n")
    (effect,) = comparison.effects
    means = [row.summarise("accuracy") for row in (effect.first, effect.second)]
    assert [mean and mean.n for mean in means] == [3, 3]
    assert means[0] is not None
    assert means[1] is not None
    difference = effect.differences["accuracy"].mean
    assert means[1].mean - means[0].mean == pytest.approx(difference)
    assert effect.left_out == 1
    assert len(first.rows[0].results) == 4


def test_other_latents_are_not_paired(tmp_path: Path) -> None:
    write_study(tmp_path, "old", (0.1,))
    write_study(tmp_path, "new", (0.1,), digest="c", torch="2")
    result = compare(read_side(tmp_path, "old"), read_side(tmp_path, "new"))
    assert [change.what for change in result.changes] == ["digest", "versions.torch"]
    (effect,) = result.effects
    assert (effect.paired, effect.better) == (False, None)
    assert effect.differences["accuracy"].mean == pytest.approx(0)
    assert effect.differences["accuracy"].sd == pytest.approx(0.0115, abs=1e-4)


def test_rows_without_counterpart_are_named(tmp_path: Path) -> None:
    write_study(tmp_path, "old", (0.1, 0.3))
    write_study(tmp_path, "new", (0.1, 0.5))
    result = compare(read_side(tmp_path, "old"), read_side(tmp_path, "new"))
    (effect,) = result.effects
    assert effect.first.names == effect.second.names == {"head": "mlp", "dropout": "0.1"}
    assert [names["dropout"] for names in result.only_first] == ["0.3"]
    assert [names["dropout"] for names in result.only_second] == ["0.5"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    write_study(tmp_path, "old", (0.1, 0.3))
    write_study(tmp_path, "new", (0.2, 0.5))
    with pytest.raises(StudyError, match=r"there is no study none in .*; there is new, old"):
        read_side(tmp_path, "none")
    with pytest.raises(StudyError, match="old has rows 1 to 2, and no row 3"):
        read_side(tmp_path, "old:3")
    with pytest.raises(StudyError, match="name two rows, as in old:1 new:2"):
        compare(read_side(tmp_path, "old"), read_side(tmp_path, "new"))


def test_a_damaged_study_hides_no_other(tmp_path: Path) -> None:
    write_study(tmp_path, "good", (0.1,))
    write_study(tmp_path, "torn", (0.1,))
    (tmp_path / "torn" / PLAN).write_text("{")
    studies, errors = list_studies(tmp_path)
    assert [study.name for study in studies] == ["good"]
    assert f"torn/{PLAN} is not of this program" in str(errors[0])
    with pytest.raises(StudyError, match=r"no study none in .*; there is good, torn"):
        read_side(tmp_path, "none")


def test_trainings_of_other_versions_are_told(tmp_path: Path) -> None:
    now = read_conditions()
    old = now.model_copy(update={"versions": now.versions | {"torch": "0.4"}})
    assert describe_others([now, now], tmp_path) is None
    line = describe_others([now, old, old], tmp_path)
    assert line is not None
    assert line.startswith(f"2 trainings were made with torch 0.4; remove {tmp_path} ")


def test_a_file_that_is_no_trial_is_named(tmp_path: Path) -> None:
    write_study(tmp_path, "made", (0.1,))
    file = next(file for file in (tmp_path / "made").iterdir() if file.name != PLAN)
    file.write_text(file.read_text()[:40])
    with pytest.raises(StudyError, match=f"{file.name} is not of this program"):
        read_side(tmp_path, "made")
