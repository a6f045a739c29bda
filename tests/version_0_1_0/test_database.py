"""A server's database of version 0.1.0, brought up to date and used."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.commands import IOA, run
from tests.support.waiting import LONG, wait_until
from tests.version_0_1_0.made import CLIENT, FACTS, LEARNING, SITE, read_json
from tests.version_0_1_0.sums import sum_latents

Ask = Callable[..., Any]
HELD = FACTS["database"]


def test_it_is_brought_up_to_date_and_holds_what_it_held(database: str, ask_server: Ask) -> None:
    assert run("database", "upgrade", "--database", database).returncode == 0
    checked = ask_server("database", "check")
    assert checked["findings"] == []
    assert HELD["rows"].items() <= checked["rows"].items()
    assert checked["positions"] == HELD["positions"]


def test_it_knows_who_was_registered_and_what_was_stored(ask_server: Ask) -> None:
    encoder_id = FACTS["encoder"]["encoder_id"]
    (client,) = ask_server("client", "list")
    assert (client["client_id"], client["site"]) == (CLIENT, SITE)
    assert (client["default_encoder"], client["stored"]) == (encoder_id, 36)
    encoders = {one["encoder_id"]: one for one in ask_server("encoder", "list")}
    assert encoders[encoder_id]["latent_dim"] == 6
    assert len(encoders) == 2


def test_its_positions_say_who_has_moved_them(ask_server: Ask) -> None:
    positions = ask_server("database", "position", "list")
    assert [one["topic"] for one in positions] == [LEARNING] * 4
    assert sum(one["next_offset"] for one in positions) == 38  # 36 stored, 2 refused
    assert all(one["owner"].startswith("ingest 0 (made, process ") for one in positions)


def test_its_dataset_still_has_its_digest(ask_server: Ask) -> None:
    shown = ask_server("dataset", "show", "bars-and-rings")
    assert shown["digest_now"] == shown["digest"] == FACTS["dataset"]
    assert shown["counts"]["label"] == {"bar": 10, "ring": 10}


def test_its_latents_are_what_they_were(database: str) -> None:
    assert sum_latents(database) == FACTS["sums"]["ioa.db"]


def test_a_backup_of_it_fills_another_kind_of_database(
    folder: Path, database: str, ask_server: Ask, make_database: Callable[[str, Path], str]
) -> None:
    assert run("database", "upgrade", "--database", database).returncode == 0
    backup, into = folder / "backup.db", make_database("postgresql", folder)
    copied = ask_server("database", "backup", backup)
    restored = read_json(run("database", "restore", backup, "--database", into, "--json"))
    assert restored["rows"] == copied["rows"]
    assert HELD["rows"].items() <= restored["rows"].items()


def test_the_next_training_learns_also_what_is_new(
    folder: Path, database: str, ask_server: Ask
) -> None:
    log = folder / "train.log"
    # The six latents that came after the stored classifier are enough.
    command = ("server", "train", "--database", database, "--train-min-new-rows", "6")
    with started(log, *command) as trainer:
        wait_until(
            lambda: "classifier trained" in log.read_text() or trainer.poll() is not None,
            "no classifier is trained",
        )
    assert json.loads(log.read_text().splitlines()[0])["rows"] == 36
    assert ask_server("database", "check")["rows"]["classifier"] == 2


@contextmanager
def started(log: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service as a process of its own until the block ends."""
    with log.open("wb") as output:
        command = [*IOA, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(LONG)
