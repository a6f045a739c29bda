"""An audit has a row for each release, and claims nothing where its attacker fails unprotected."""

import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pytest

from client_autoencoder.audit.attack import Known, Target
from client_autoencoder.audit.report import PROVES_NOTHING, audit
from client_autoencoder.errors import ClientError

PLAIN, NOISED, LOST = "plain", "noised", "lost"
NOISE = {PLAIN: 0.0, NOISED: 1.0, LOST: 1e6}


def draw_releases(seed: int, *titles: str) -> Mapping[str, Target]:
    """Targets [40, 8] of public and victims, whose candidates are what is under the noise."""
    rng = np.random.default_rng(seed)

    def draw(noise: float) -> Known:
        encodings = rng.standard_normal((40, 8)).astype(np.float32)
        noised = encodings + noise * rng.standard_normal((40, 8))
        return Known(noised.astype(np.float32), encodings)

    return {title: Target(draw(NOISE[title]), draw(NOISE[title])) for title in titles}


def test_a_row_compares_with_the_floor_and_with_the_unprotected_release() -> None:
    plain, noised, lost = audit(
        "reidentification", (draw_releases(seed, PLAIN, NOISED, LOST) for seed in range(3))
    )
    assert [row.release for row in (plain, noised, lost)] == [PLAIN, NOISED, LOST]
    assert plain.floor == {"found": pytest.approx(1 / 40)}
    assert (plain.reached["found"], plain.gain, plain.seeds) == (1.0, pytest.approx(1.0), 3)
    assert plain.spread["found"] == 0
    assert 0.2 < noised.gain < 0.9
    assert noised.spread["found"] > 0
    assert abs(lost.gain) < 0.1
    assert f"gets {noised.gain:.0%} of what" in noised.verdict
    assert json.loads(json.dumps(asdict(noised)))["headline"] == "found"


def test_where_the_attacker_fails_unprotected_no_row_proves_anything() -> None:
    rows = audit("reidentification", [draw_releases(0, LOST, NOISED)])
    assert {row.verdict for row in rows} == {PROVES_NOTHING}
    assert rows[0].spread["found"] == 0  # of one seed


def test_an_attribute_that_follows_from_the_label_gives_nothing_away() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["x", "y"] * 30)
    known = Known(rng.standard_normal((60, 3)).astype(np.float32), labels, labels)
    (row,) = audit("attribute", [{PLAIN: Target(known, known)}])
    assert (row.gain, row.verdict) == (0.0, PROVES_NOTHING)


@pytest.mark.parametrize(
    "runs", [[], [{}], [draw_releases(0, PLAIN), draw_releases(1, PLAIN, NOISED)]]
)
def test_every_seed_has_the_same_releases(runs: list[Mapping[str, Target]]) -> None:
    with pytest.raises(ClientError, match="the same releases of every seed"):
        audit("reidentification", runs)
