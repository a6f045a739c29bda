"""The outboxes of a client of version 0.1.0: what waits in them goes on where it stopped."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.kafka.settings import KafkaSettings
from tests.support.commands import Ran, run, run_client, start_client
from tests.support.images import draw_images
from tests.support.server import run_server
from tests.support.waiting import LONG
from tests.version_0_1_0.made import CLIENT, FACTS, LEARNING, PREFIX, SITE, read_json
from tests.version_0_1_0.sums import sum_letters

COUNTS = FACTS["outboxes"]
NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1", prefix=PREFIX)
STORED = FACTS["database"]["rows"]["latent"]


def read_status(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = read_json(
        run_client(NOBODY, CLIENT, folder / "encoder", "client", "status", "--json")
    )
    return status


def test_the_status_counts_what_waits_and_what_was(folder: Path) -> None:
    status = read_status(folder)
    assert COUNTS.items() <= status.items()
    assert {one["reason"] for one in status["answers"]} == {"bar", "ring", "square"}
    assert [one["name"] for one in status["expired_questions"]] == ["made[1]", "made[0]"]
    assert len(status["refusals"]) == 2


def test_what_waits_is_listed_and_exported(folder: Path) -> None:
    client = (NOBODY, CLIENT, folder / "encoder", "outbox")
    letters = read_json(run_client(*client, "list", "--json"))["messages"]
    assert Counter((one["topic"], one["state"]) for one in letters) == {
        (LEARNING, "delivered"): 5,
        (LEARNING, "queued"): 4,
        (f"{PREFIX}.service", "delivered"): 3,
        (f"{PREFIX}.service", "queued"): 3,
    }
    deadlines = Counter(one["deadline"] and one["deadline"][:4] for one in letters)
    assert deadlines == {None: 9, "2100": 5, "2026": 1}
    exported = folder / "waiting.jsonl"
    assert read_json(run_client(*client, "export", exported, "--json"))["messages"] == 15
    assert sum_letters(exported) == FACTS["sums"]["outbox"]


def test_what_waits_goes_to_its_own_cluster_only(folder: Path, kafka: str) -> None:
    register(folder, kafka)
    done = drain(folder, kafka)
    assert done.returncode == 1
    assert "messages for Kafka cluster" in done.stderr
    status = read_status(folder)
    assert (status["queued"], status["delivered"]) == (6, 8)
    assert status["expired"] == COUNTS["expired"] + 1  # at the opening, before anything else


def test_what_waits_is_sent_stored_and_answered(
    folder: Path, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOA_CLIENT__RESEND_SECONDS", "0.5")
    register(folder, kafka)
    forget_cluster(folder)
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=PREFIX)
    with run_server(settings, folder) as server:
        done = drain(folder, kafka)
        assert server.count_stored() == STORED + 9
        published = publish_more(folder, settings)
    assert done.returncode == 1  # for one question has expired
    report = json.loads(done.stdout)
    assert report["ended"] == {"expired": 1, "answered": 5, "acknowledged": 9}, done.stderr
    check_predictions(report["predictions"])
    assert (published["sent"], published["acknowledged"], published["waiting"]) == (6, 6, 0)
    status = read_status(folder)
    assert (status["queued"], status["delivered"]) == (0, 0)
    grown = {name: status[name] - COUNTS[name] for name in ("acknowledged", "answered", "expired")}
    assert grown == {"acknowledged": 9 + 6, "answered": 5, "expired": 1}
    assert status["resent"] >= 8  # all that were delivered to the broker of then


def register(folder: Path, kafka: str) -> None:
    """Make the topics on another broker, and let the server read what comes from now on."""
    where = ("-b", kafka, "--prefix", PREFIX, "--database", f"sqlite:///{folder / 'ioa.db'}")
    reset = run("database", "position", "reset", "--topic", LEARNING, "--to", "latest", *where)
    added = run("client", "add", CLIENT, "--site", SITE, *where)
    assert (added.returncode, reset.returncode) == (0, 0), added.stderr + reset.stderr


def forget_cluster(folder: Path) -> None:
    """Let the outboxes take the broker of the tests for that of then, which is gone."""
    for file in (folder / "outbox").glob("*.db"):
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("UPDATE owner SET cluster = NULL")


def drain(folder: Path, kafka: str) -> Ran:
    """Send what waits, from a process of its own."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=PREFIX)
    arguments = ("outbox", "drain", "--timeout", LONG, "--json")
    with start_client(settings, CLIENT, folder / "encoder", *arguments) as process:
        stdout, stderr = process.communicate(timeout=LONG)
    return Ran(process.args, process.returncode, stdout, stderr)


def publish_more(folder: Path, settings: KafkaSettings) -> dict[str, Any]:
    """Publish images that the outbox has not seen, and return the report."""
    batch = draw_images(6, seed=7)
    np.savez(folder / "more.npz", images=batch.images[:, 0], labels=np.array(batch.labels))
    arguments = ("client", "publish", "--data", folder / "more.npz", "--json")
    report: dict[str, Any] = read_json(run_client(settings, CLIENT, folder / "encoder", *arguments))
    return report


def check_predictions(predictions: list[dict[str, Any]]) -> None:
    """Compare answers with those of then: the classifier is that which was stored."""
    assert {one["model_version"] for one in predictions} == {FACTS["predictions"][0]["model"]}
    # Three questions are about the images of then; they are the oldest, but may be answered last.
    for expected in FACTS["predictions"]:
        close = pytest.approx(expected["probabilities"], abs=1e-3)
        assert any(one["probabilities"] == close for one in predictions), expected["label"]
