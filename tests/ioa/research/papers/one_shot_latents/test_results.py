"""The committed results: the pages are made from the figures, and the README shows the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ioa.errors import NoResult
from ioa.research.papers.one_shot_latents.page import render_page, render_summary
from ioa.research.papers.registry import PAPERS
from ioa.research.reporting.results import read_results
from ioa.research.reporting.spread import format_spread

ROOT = Path(__file__).parents[5]
RESULTS = ROOT / "experiments" / "results"
SHOWN = sorted(RESULTS.glob("003-mnist-*.json")) + sorted(RESULTS.glob("003-digits-*.json"))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_there_are_results() -> None:
    assert len(SHOWN) >= 2


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_a_page_shows_the_figures_beside_it(path: Path) -> None:
    assert path.with_suffix(".md").read_text() == render_page(read(path))
    with Image.open(path.with_suffix(".png")) as figure:
        assert figure.width > 500


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_every_message_of_a_result_was_stored_and_every_question_answered(path: Path) -> None:
    for seed in read(path)["seeds"]:
        assert seed["sent"] == seed["acknowledged"] == seed["stored"] > 0
        assert seed["requests"] == seed["replies"] > 0


def test_the_readme_shows_the_committed_results() -> None:
    assert render_summary(read_results(SHOWN, PAPERS)["003"]) in (ROOT / "README.md").read_text()


def test_a_mean_stands_with_its_spread() -> None:
    assert format_spread({"mean": 0.98342, "sd": 0.00049}, 2, percent=True) == "98.34 ± 0.05"
    assert format_spread({"mean": 0.00801, "sd": None}, 4) == "0.0080"


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(NoResult, match=r"odd\.json"):
        read_results([tmp_path / "odd.json"], PAPERS)
