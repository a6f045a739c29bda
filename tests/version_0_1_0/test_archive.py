"""An archive of version 0.1.0, what a replay of it has filled, and a list of who was registered."""

import json
from pathlib import Path

from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry.copy import RegistryCopy, add_registry
from tests.support.commands import Ran, run
from tests.version_0_1_0.made import CLIENT, FACTS, LEARNING, SITE, read_json
from tests.version_0_1_0.sums import sum_latents

REPLAYED = FACTS["replay"]


def test_nothing_is_wrong_with_it(folder: Path) -> None:
    verified = read_json(run("archive", "check", folder / "archive", "--json"))
    assert (verified["findings"], verified["files"]) == ([], 2)
    assert (verified["topic"], verified["records"]) == (LEARNING, REPLAYED["read"])


def test_a_replay_of_it_stores_the_same_latents(folder: Path, database_url: str) -> None:
    done = replay(folder, database_url)
    assert REPLAYED.items() <= read_json(done).items()
    assert "nothing is new" not in done.stderr


def test_a_replay_that_was_finished_is_not_done_again(folder: Path) -> None:
    replayed = f"sqlite:///{folder / 'replayed.db'}"
    done = replay(folder, replayed)
    assert REPLAYED.items() <= read_json(done).items()
    assert "nothing is new" in done.stderr
    assert sum_latents(replayed) == FACTS["sums"]["replayed.db"]


def test_who_was_registered_is_registered_anew(folder: Path, tmp_path: Path) -> None:
    kept = json.loads((folder / "registry.json").read_text())
    registry = RegistryCopy.from_json(kept)
    assert kept.items() <= registry.to_json().items()
    url = f"sqlite:///{tmp_path / 'new.db'}"
    engine = open_database(url)
    ensure_current(engine)
    with writing(engine) as connection:
        add_registry(connection, registry)
    engine.dispose()
    (client,) = read_json(run("client", "list", "--database", url, "--json"))
    assert (client["client_id"], client["site"]) == (CLIENT, SITE)
    assert client["default_encoder"] == FACTS["encoder"]["encoder_id"]


def replay(folder: Path, into: str) -> Ran:
    """Replay the whole archive into a database."""
    return run("replay", "run", "--archive", folder / "archive", "--into", into, "--json")
