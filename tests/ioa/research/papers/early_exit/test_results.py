"""The committed results: pages are made from the figures, and the guide shows the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from ioa.research.papers.early_exit.link import RAW, SPLIT
from ioa.research.papers.early_exit.page import render_page, render_summary
from ioa.research.papers.early_exit.plan import PACKINGS

ROOT = Path(__file__).parents[5]
RESULTS = ROOT / "experiments" / "results"
SHOWN = sorted(RESULTS.glob("001-mnist*.json")) + sorted(RESULTS.glob("001-digits*.json"))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_there_are_results_of_three_seeds() -> None:
    assert {len(read(path)["seeds"]) for path in SHOWN} == {3}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_a_page_shows_the_figures_beside_it(path: Path) -> None:
    assert path.with_suffix(".md").read_text() == render_page(read(path))


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_every_message_was_stored_and_split_training_is_central_training(path: Path) -> None:
    result = read(path)
    assert result["tables"]["accuracy"][RAW] == result["tables"]["accuracy"][SPLIT]
    for seed in result["seeds"]:
        assert seed["sent"] == seed["stored"] == len(PACKINGS) * result["data"]["learned_images"]
        assert seed["requests"] == seed["replies"] == len(PACKINGS) * result["data"]["test_images"]


def test_the_guide_shows_the_committed_results() -> None:
    guide = (ROOT / "docs" / "early-exits.md").read_text()
    assert render_summary([read(path) for path in SHOWN]) in guide
