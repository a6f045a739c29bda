"""Which site adds what, by training with and without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ioa.errors import StudyError
from ioa.research.sites.coalitions import Game
from ioa.research.sites.sites import SitesReport, run_sites
from ioa.research.sites.table import render_sites
from server_classifier.heads.settings import TrainingSettings
from server_classifier.store.datasets.latents import DatasetLatents
from tests.ioa.research.made_latents import QUICK, make_latents

FIVE = ("bern", "graz", "jena", "kiel", "trier")
SHORT = TrainingSettings(hidden=(64,), epochs=8, min_steps=100)


def play(latents: DatasetLatents, game: Game, folder: Path, **more: int) -> tuple[SitesReport, int]:
    numbers = {"seeds": 2, "orders": 5, "jobs": 1} | more
    return run_sites(
        *("made", latents, game, folder),
        seeds=numbers["seeds"],
        orders=numbers["orders"],
        jobs=numbers["jobs"],
        on_progress=lambda done, total: None,
    )


def make_game(latents: DatasetLatents, settings: TrainingSettings = QUICK) -> Game:
    return Game(latents.digest, latents.encoder_id, "mlp", settings, test_share=0.2)


def spread_digits() -> DatasetLatents:
    """Return scikit-learn's digits, 8x8 pixels each, dealt to five sites."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    rows = len(digits.target)
    return DatasetLatents(
        values=(digits.data / 16).astype(np.float32),
        targets=digits.target.astype(np.int64),
        labels=tuple("0123456789"),
        site_of=np.random.default_rng(0).permutation(rows).astype(np.int64) % 5,
        sites=FIVE,
        groups=np.arange(rows, dtype=np.int64),
        received_at=np.zeros(rows, np.int64),
        digest="d" * 64,
        encoder_id="e" * 64,
    )


def test_of_five_sites_the_one_with_wrong_labels_is_last(tmp_path: Path) -> None:
    latents = spread_digits()
    game = replace(make_game(latents, SHORT), noise=(("jena", 0.3),))
    report, trained = play(latents, game, tmp_path, seeds=2)
    print(render_sites(report))
    assert trained == 2 * 32
    for result in report.results:
        shares = {site: share.value for site, share in result.shapley.items()}
        assert min(shares, key=shares.__getitem__) == "jena"
        assert sum(shares.values()) == pytest.approx(result.everyone - result.nobody)
        assert min(result.alone, key=result.alone.__getitem__) == "jena"
    assert report.sites[-1] == "jena"
    assert "30% of the labels of jena" in render_sites(report)


def test_a_second_run_trains_nothing(tmp_path: Path) -> None:
    latents = make_latents()
    first, trained = play(latents, make_game(latents), tmp_path)
    assert trained == 2 * 8
    again, trained = play(latents, make_game(latents), tmp_path)
    assert trained == 0
    assert again == first


def test_above_six_sites_orders_are_sampled(tmp_path: Path) -> None:
    latents = make_latents(210, sites=[f"site-{number}" for number in range(7)])
    report, trained = play(latents, make_game(latents), tmp_path, seeds=1, orders=3)
    assert trained < 2**7
    assert report.orders == 2 * 7
    (result,) = report.results
    shares = result.shapley.values()
    assert sum(share.value for share in shares) == pytest.approx(result.everyone - result.nobody)
    assert all(share.error is not None for share in shares)
    page = render_sites(report)
    assert "14 orders" in page
    for site, share in result.shapley.items():
        assert f"| {100 * share.value:.2f} ({100 * (share.error or 0):.2f}) |" in next(
            line for line in page.splitlines() if site in line
        )


def test_a_site_with_one_label_is_marked(tmp_path: Path) -> None:
    latents = make_latents()
    latents.targets[latents.site_of == 0] = 2
    game = replace(make_game(latents), noise=(("north", 0.004),))
    report, _ = play(latents, game, tmp_path, seeds=1)
    assert "* 0.4% of the labels of north" in render_sites(report)
    assert report.results[0].untrained == {frozenset({"east"})}
    marked = [line for line in render_sites(report).splitlines() if "(!)" in line]
    assert [line[:6] for line in marked] == ["| east", "(!) In"]


def test_what_was_received_before_a_time_decides_the_value(tmp_path: Path) -> None:
    latents = make_latents()
    game = replace(make_game(latents), before=60)
    assert play(latents, game, tmp_path, seeds=1)[1] == 8
    assert play(latents, game, tmp_path, seeds=1)[1] == 0
    latents.received_at[:30] += 60
    assert play(latents, game, tmp_path, seeds=1)[1] == 8


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    latents = make_latents()
    game = make_game(latents)
    with pytest.raises(StudyError, match="no site south; there are east, north, west"):
        play(latents, replace(game, noise=(("south", 0.3),)), tmp_path)
    with pytest.raises(StudyError, match="no latent was received before"):
        play(latents, replace(game, before=0), tmp_path)
    with pytest.raises(StudyError, match="all sites together have only label"):
        play(latents, replace(game, before=1), tmp_path)
    with pytest.raises(StudyError, match="two of each are needed"):
        play(make_latents(sites=["north"]), game, tmp_path)
