"""A study's file is read strictly; an error names file and key."""

from pathlib import Path

import pytest

from ioa.errors import StudyError
from ioa.research.studies.configuration import StudyConfig, read_config

WHOLE = """
name = "dropout"
database = "sqlite:///replay.db"
datasets = ["all"]
heads = ["mlp", "linear"]
seeds = [0, 1]
[split]
folds = 5
[settings]
dropout = [0.1, 0.3]
learning_rate = [0.01, 0.03]
"""


def read(folder: Path, text: str) -> StudyConfig:
    (folder / "conf.toml").write_text(text)
    return read_config(folder / "conf.toml")


def test_lists_of_settings_are_combined(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    chosen = [(settings.dropout, settings.learning_rate) for settings in config.settings]
    assert chosen == [(0.1, 0.01), (0.1, 0.03), (0.3, 0.01), (0.3, 0.03)]
    assert (config.heads, config.seeds, config.split.folds) == (("mlp", "linear"), (0, 1), 5)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hidden = [64, 32]", [(64, 32)]),
        ("hidden = [[64, 32], [16]]", [(64, 32), (16,)]),
        ("hidden = []", [()]),
    ],
)
def test_hidden_varies_where_it_is_a_list_of_lists(
    tmp_path: Path, line: str, expected: list[tuple[int, ...]]
) -> None:
    config = read(tmp_path, f'name = "a"\ndatasets = ["all"]\n[settings]\n{line}')
    assert [settings.hidden for settings in config.settings] == expected


def test_it_can_be_written_and_read_again_without_the_password(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE.replace("sqlite:///replay.db", "postgresql://ioa:secret@db/ioa"))
    assert config.database is not None
    written = config.model_dump_json()
    assert "secret" not in written
    known = config.model_copy(update={"database": None})
    assert StudyConfig.model_validate_json(written) == known


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "dropout"', 'name = "../up"', "name: String should match"),
        ('name = "dropout"', "", "name: Field required"),
        ("seeds =", "seds =", "seds: Extra inputs are not permitted"),
        ("seeds = [0, 1]", 'seeds = ["0"]', "seeds: Input should be a valid integer"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "seeds: something is in it twice"),
        ("seeds = [0, 1]", "seeds = []", "seeds: state one at least"),
        ('["mlp", "linear"]', '["svm"]', "heads: 'svm' is no head; there are mlp, linear"),
        ("dropout = ", 'head = "conv"\ndropout = ', 'settings.head: name it in heads = ["conv"]'),
        ("[0.1, 0.3]", "[0.1, 1.0]", "settings.dropout: Input should be less than 1"),
        ("[0.1, 0.3]", '"0.1"', "settings.dropout: Input should be a valid number"),
        ("[0.1, 0.3]", "[]", "settings.dropout: Input should be a valid number"),
        ("dropout = ", "drop = ", "settings.drop: Extra inputs are not permitted"),
        ("folds = 5", "", "split: state either folds"),
        ("folds = 5", 'folds = 5\nhold_out = "site"', "split: state either folds"),
        ("folds = 5", 'hold_out = "subject"', 'split: hold_out = "subject" and share'),
        ("folds = 5", "folds = 1", "split.folds: Input should be greater than or equal to 2"),
        ("folds = 5", "folds = 2026-11-21", "split.folds: Input should be a valid integer"),
        ("[0.1, 0.3]", "[0.1, 0.1]", "settings: something is in it twice"),
        ("[split]", "[split", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in WHOLE
    with pytest.raises(StudyError) as caught:
        read(tmp_path, WHOLE.replace(old, new))
    assert words in str(caught.value)
    assert str(tmp_path / "conf.toml") in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"conf.toml cannot be read: No such file"):
        read_config(tmp_path / "conf.toml")
