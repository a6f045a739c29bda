"""What a set of sites is worth, and what is changed before anything learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ioa.research.reporting.conditions import read_conditions
from ioa.research.sites.coalitions import (
    Coalition,
    Game,
    change_labels,
    set_scene,
    value_coalitions,
)
from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.datasets.snapshots import write_snapshot
from tests.ioa.research.made_latents import QUICK, make_latents

GAME = Game("d" * 64, "e" * 64, "mlp", QUICK, test_share=0.25)


def test_the_test_set_keeps_its_labels_and_is_learned_by_nobody() -> None:
    latents = make_latents()
    scene = set_scene(latents, replace(GAME, noise=(("east", 1.0),)), 0)
    assert (scene.targets[scene.tested] == latents.targets[scene.tested]).all()
    assert not (scene.learnable & scene.tested).any()
    assert set(latents.site_of[scene.tested]) == {0, 1, 2}


def test_noise_changes_so_many_labels_of_one_site() -> None:
    latents = make_latents()
    scene = set_scene(latents, replace(GAME, noise=(("north", 0.3),)), 0)
    changed = scene.targets != latents.targets
    rows = scene.learnable & (latents.site_of == 1)
    assert changed[rows].sum() == changed.sum() == round(0.3 * rows.sum())
    again = set_scene(latents, replace(GAME, noise=(("north", 0.3),)), 0)
    assert (again.targets == scene.targets).all()


def test_a_changed_label_is_another_one_any_other() -> None:
    targets = np.repeat(np.arange(3), 100)
    changed = change_labels(targets, 3, np.random.default_rng(0))
    assert (changed != targets).all()
    assert {*zip(targets.tolist(), changed.tolist(), strict=True)} == {
        (old, new) for old in range(3) for new in range(3) if old != new
    }


def test_nothing_later_is_learned() -> None:
    latents = make_latents()
    scene = set_scene(latents, replace(GAME, before=60), 0)
    assert latents.received_at[scene.learnable].max() < 60
    assert latents.received_at[scene.tested].max() > 60


def value(latents: DatasetLatents, folder: Path, sites: tuple[str, ...]) -> tuple[float, bool]:
    snapshot = folder / f"{len(list(folder.iterdir()))}.latents"
    write_snapshot(latents, snapshot)
    snapshots = {(latents.digest, latents.encoder_id): snapshot}
    (record,) = value_coalitions([Coalition(GAME, 0, sites)], snapshots, read_conditions())
    return record.accuracy, record.trained


def test_who_learned_nothing_guesses_the_most_frequent_class(tmp_path: Path) -> None:
    latents = make_latents()
    tested = set_scene(latents, GAME, 0).tested
    floor = np.bincount(latents.targets[tested]).max() / tested.sum()
    assert value(latents, tmp_path, ()) == (pytest.approx(floor), False)


def test_one_class_is_worth_what_always_answering_it_is(tmp_path: Path) -> None:
    latents = make_latents()
    latents.targets[:] = np.where(latents.site_of == 1, 1, 2)
    tested = set_scene(latents, GAME, 0).tested
    shares = np.bincount(latents.targets[tested]) / tested.sum()
    assert shares[1] < shares[2]
    assert value(latents, tmp_path, ("north",)) == (pytest.approx(shares[1]), False)
    assert value(latents, tmp_path, ("east",)) == (pytest.approx(shares[2]), False)
    assert value(latents, tmp_path, ("east", "north"))[1]


def test_what_decides_the_value_changes_the_id() -> None:
    first = Coalition(GAME, 0, ("east", "north"))
    others = [
        replace(first, seed=1),
        replace(first, sites=("east",)),
        *(
            replace(first, game=game)
            for game in (
                replace(GAME, before=60),
                replace(GAME, noise=(("east", 0.1),)),
                replace(GAME, test_share=0.3),
                replace(GAME, head="linear"),
            )
        ),
    ]
    assert len({first.id, *(other.id for other in others)}) == 7
