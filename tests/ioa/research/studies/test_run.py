"""A study on a real database, in processes of its own; a second run trains nothing."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from ioa.errors import StudyError
from ioa.research.studies.configuration import Split, StudyConfig
from ioa.research.studies.plan import Study, read_study
from ioa.research.studies.run import run_study
from ioa.research.studies.summary import summarise_study
from ioa.research.studies.table import render_study
from server_classifier.store.errors import DatasetError
from tests.ioa.research.made_latents import QUICK, QUICK_TOML, fill_database, make_site_rows
from tests.support.waiting import wait_until

pytest.importorskip("matplotlib")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return fill_database(f"sqlite:///{tmp_path / 'ioa.db'}")


def make_config(**changes: object) -> StudyConfig:
    given = {"name": "made", "datasets": ("all",), "seeds": (0, 1), "settings": (QUICK,)}
    return StudyConfig.model_validate(given | {"split": Split(folds=3)} | changes)


def run(config: StudyConfig, engine: Engine, out: Path, jobs: int = 1) -> tuple[Study, int]:
    return run_study(config, engine, out, jobs=jobs, on_progress=lambda done, total: None)


def test_every_trial_says_what_it_did_and_with_what(engine: Engine, tmp_path: Path) -> None:
    study, trained = run(make_config(heads=("mlp", "linear")), engine, tmp_path / "out")
    assert trained == len(study.records) == 2 * 2 * 3
    for record in study.records.values():
        assert record.scores is not None
        assert record.rows_learned + record.rows_tested == 90
        assert set(record.scores.accuracy_by_site) == {"east", "north", "west"}
        assert set(record.conditions.versions) >= {"torch", "numpy", "python"}
        assert record.trial["digest"] == study.plan.datasets[0].digest
    assert (tmp_path / "out" / "made" / "figure.png").read_bytes()[:4] == b"\x89PNG"
    table = (tmp_path / "out" / "made" / "table.md").read_text()
    assert "| majority class |" in table
    assert "0 name a subject and 90 an image, which makes 30 groups" in table


def test_latents_of_one_image_do_not_stay_on_disk(engine: Engine, tmp_path: Path) -> None:
    run(make_config(), engine, tmp_path / "out")
    left = {file.suffix for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert left == {".json", ".md", ".png"}


def test_many_processes_give_the_weights_of_one(engine: Engine, tmp_path: Path) -> None:
    alone, _ = run(make_config(), engine, tmp_path / "one")
    shared, _ = run(make_config(), engine, tmp_path / "two", jobs=2)
    assert read_sums(alone) == read_sums(shared)
    assert len(set(read_sums(alone).values())) == 6


@pytest.mark.parametrize("jobs", [1, 2])
def test_trials_that_train_at_once_come_to_what_each_comes_to_alone(
    engine: Engine, tmp_path: Path, jobs: int
) -> None:
    settings = tuple(QUICK.model_copy(update={"dropout": share}) for share in (0.0, 0.2, 0.5))
    split = Split(hold_out="site")
    config = make_config(settings=settings, split=split)
    study, trained = run(config, engine, tmp_path / "stacked", jobs=jobs)
    assert trained == 3 * 2 * 3
    sizes = Counter(trial.stack_key for trial in study.plan.list_trials())
    assert set(sizes.values()) == {6}, "all seeds and settings of a fold"
    for number, own in enumerate(settings):
        for seed in (0, 1):
            alone = make_config(
                name=f"{number}-{seed}", settings=(own,), seeds=(seed,), split=split
            )
            for name, found in run(alone, engine, tmp_path / "alone")[0].records.items():
                assert found.weights_sha256 == study.records[name].weights_sha256
                assert found.scores == study.records[name].scores


def read_sums(study: Study) -> dict[str, str | None]:
    return {name: record.weights_sha256 for name, record in study.records.items()}


def test_a_second_run_trains_only_what_is_missing(engine: Engine, tmp_path: Path) -> None:
    study, trained = run(make_config(), engine, tmp_path)
    assert trained == 6
    lost, *_ = study.records
    (tmp_path / "made" / f"{lost}.json").unlink()
    assert lost not in read_study(tmp_path, "made").records
    again, trained = run(make_config(), engine, tmp_path)
    assert trained == 1
    assert again.records[lost].weights_sha256 == study.records[lost].weights_sha256
    _, trained = run(make_config(), engine, tmp_path)
    assert trained == 0
    _, trained = run(make_config(seeds=(0, 1, 2)), engine, tmp_path)
    assert trained == 3


def test_a_trial_that_fails_is_recorded_and_stops_no_other(tmp_path: Path) -> None:
    rows = make_site_rows(90)
    one_class = [row for row in rows if row.site != "east" or row.label == "class 0"]
    kept = [row for row in one_class if row.site != "west"]
    engine = fill_database(f"sqlite:///{tmp_path / 'ioa.db'}", kept)
    study, _ = run(make_config(split=Split(hold_out="site"), seeds=(0,)), engine, tmp_path)
    by_fold = {record.trial["fold"]: record for record in study.records.values()}
    assert (
        by_fold["north"].failure
        == "1 class found; a classifier needs latents of at least two labels"
    )
    assert by_fold["north"].scores is None
    assert by_fold["east"].scores is not None
    assert "1 failed" in render_study(study)
    _, trained = run(make_config(split=Split(hold_out="site"), seeds=(0,)), engine, tmp_path)
    assert trained == 0


def test_the_table_has_a_row_for_each_variant_and_the_baseline(
    engine: Engine, tmp_path: Path
) -> None:
    settings = (QUICK, QUICK.model_copy(update={"dropout": 0.9}))
    study, _ = run(make_config(heads=("mlp", "linear"), settings=settings), engine, tmp_path)
    mild, harsh, linear, guess = summarise_study(study)
    assert (mild.names, harsh.names) == (
        {"head": "mlp", "dropout": "0.3"},
        {"head": "mlp", "dropout": "0.9"},
    )
    assert linear.names == {"head": "linear", "dropout": ""}
    assert guess.names == {"head": "majority class"}
    accuracy = guess.summarise("accuracy")
    assert accuracy is not None
    assert accuracy.mean == pytest.approx(1 / 3, abs=0.05)
    assert mild.planned == len(mild.results) == 6


def test_an_unknown_dataset_is_named_before_anything_is_written(
    engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="there is no dataset none"):
        run(make_config(datasets=("none",)), engine, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_keeps_its_trials(engine: Engine, tmp_path: Path) -> None:
    run(make_config(), engine, tmp_path)
    before = {file.name: file.read_bytes() for file in (tmp_path / "made").iterdir()}
    with pytest.raises(StudyError, match=r"6 of its 6 trials would be gone .* another name"):
        run(make_config(split=Split(folds=2)), engine, tmp_path)
    with pytest.raises(StudyError, match=r"3 of its 6 trials would be gone"):
        run(make_config(seeds=(1, 2)), engine, tmp_path)
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "made").iterdir()}


def test_a_figure_that_cannot_be_written_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    figure = tmp_path / "made" / "figure.png"
    figure.mkdir(parents=True)  # stands in the way of the file
    with pytest.raises(StudyError, match=r"figure.png cannot be written: .* run the same again"):
        run(make_config(), engine, tmp_path)
    assert not list(figure.parent.glob("*.partial")) + list(figure.iterdir())
    figure.rmdir()
    assert run(make_config(), engine, tmp_path)[1] == 0


STOPPED = """
import multiprocessing, os, sys
from pathlib import Path
from ioa.research.studies.configuration import read_config
from ioa.research.studies.run import run_study
from server_classifier.store.database import open_database

def stop(done, total):
    if done == 3:
        print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), int(sys.argv[2]))

if __name__ == "__main__":
    config = read_config(Path(sys.argv[1], "conf.toml"))
    engine = open_database(config.database)
    run_study(config, engine, Path(sys.argv[1]), jobs=2, on_progress=stop)
"""


def run_until_stopped(engine: Engine, folder: Path, number: int) -> tuple[int, list[int]]:
    """Send a run of six trials a signal after the third; return its exit code and its workers."""
    (folder / "conf.toml").write_text(
        f'name = "made"\ndatabase = "{engine.url}"\ndatasets = ["all"]\nseeds = [0, 1]\n'
        f"split.folds = 3\n[settings]\n{QUICK_TOML}"
    )
    (folder / "stopped.py").write_text(STOPPED)
    ended = subprocess.run(
        [sys.executable, folder / "stopped.py", folder, str(number)],
        env=os.environ | {"TMPDIR": str(folder)},  # where a killed run leaves its snapshot
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return ended.returncode, list(map(int, ended.stdout.split()))


def test_a_killed_run_goes_on_where_it_stopped(engine: Engine, tmp_path: Path) -> None:
    code, workers = run_until_stopped(engine, tmp_path, signal.SIGKILL)
    assert (code, len(workers)) == (-signal.SIGKILL, 2)
    wait_until(lambda: not any(map(is_alive, workers)), "the end of its workers")
    assert len(read_study(tmp_path, "made").records) == 3
    study, trained = run(make_config(), engine, tmp_path)
    assert (trained, len(study.records)) == (3, 6)


def test_a_run_that_is_asked_to_end_leaves_no_latents(engine: Engine, tmp_path: Path) -> None:
    code, _ = run_until_stopped(engine, tmp_path, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert len(read_study(tmp_path, "made").records) == 3
    assert not list(tmp_path.glob("ioa-study-*"))


def is_alive(worker: int) -> bool:
    try:
        return psutil.Process(worker).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
