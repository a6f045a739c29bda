"""Make the files of this folder, with the code of version 0.1.0 and nothing else.

They are what hospitals have on their disks, so a later version never makes them again; it only
opens them. In a clone of the project, ``main``, whose ``.venv`` is that of 0.1.0:

    git worktree add ../old 5d3ae7a
    cp -r tests/version_0_1_0 ../old/tests/
    cd ../old
    PYTHONPATH=. ../main/.venv/bin/python -m tests.version_0_1_0.make /tmp/made

It takes a minute. ``/tmp/made`` must be new, and its files then replace those here. Ids, times and
offsets differ each time, and ``facts.json`` says which they are; the golden values do not. This
file keeps the module names of 0.1.0, while ``golden.py`` follows the code as it moves: copy that as
it was when the code was still of 0.1.0.
"""

import json
import shutil
import socket
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch

from client_autoencoder.encoder import Encoder
from client_autoencoder.encoder_files import load_autoencoder
from client_autoencoder.settings import ClientSettings
from ioa.settings import Settings
from server_classifier.store.registry_copy import read_registry
from server_classifier.training_settings import TrainingSettings
from stream.broker.embedded import EmbeddedBroker
from stream.letter import Letter, make_letter
from stream.settings import KafkaSettings
from stream.topics import Topics
from tests.support.commands import run
from tests.support.couriers import open_courier
from tests.support.encoders import train_encoder
from tests.support.hospital import CLIENT, Hospital
from tests.support.images import CLASSES, draw_images
from tests.support.processes import IoaProcess
from tests.support.server import RunningServer, run_server
from tests.support.waiting import LONG
from tests.version_0_1_0.golden import (
    describe_machine,
    run_experiment,
    train_classifier,
    train_golden_encoder,
)
from tests.version_0_1_0.sums import sum_latents, sum_letters

PREFIX = "v010"
LONG_PAST = 1_767_225_600.0  # the first second of 2026, in UTC
FAR_FUTURE = 4_102_444_800.0  # and of 2100
# Small, so that the database is.
TRAINING = TrainingSettings(hidden=(16,), min_steps=200)


class Maker:
    """One deployment that lives in ``scratch`` and leaves its files in ``out``."""

    def __init__(self, out: Path, scratch: Path) -> None:
        self.out = out
        self.scratch = scratch
        self.url = f"sqlite:///{out / 'ioa.db'}"
        self.broker = EmbeddedBroker(scratch / "kafka").start()
        self.kafka = KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers, prefix=PREFIX)
        self.hospital = Hospital(self.kafka, train_encoder(out / "encoder"), out / "outbox")

    def make(self) -> dict[str, Any]:
        """Write all files and return the facts that their tests compare with."""
        predictions = self.fill_database()
        self.leave_unanswered()
        self.write_archive()
        self.leave_unsent()
        registry = read_registry(self.url).to_json()
        write_json(self.out / "registry.json", registry)
        replayed = self.replay_archive()
        for file in (self.out / "ioa.db", self.out / "replayed.db"):
            shrink(file)
        for lock in self.hospital.directory.glob("*.lock"):
            lock.unlink()
        checked = self.run("server", "db", "check")
        return {
            "encoder": self.describe_encoder(),
            "predictions": predictions,
            "database": {name: checked[name] for name in ("revision", "rows", "positions")},
            "dataset": self.run("dataset", "show", "bars-and-rings")["digest"],
            "outboxes": self.count_letters(),
            "replay": replayed,
            "sums": self.sum_all(),
        }

    def fill_database(self) -> list[dict[str, Any]]:
        """Store latents, train, store some more and answer; return the answers."""
        with run_server(self.kafka, self.out, labels=CLASSES) as server:
            self.run_plain("server", "encoder", "add", self.hospital.encoder)
            server.register(CLIENT, default_encoder=Encoder.load(self.hospital.encoder).encoder_id)
            self.hospital.publish([draw_images(30)], timeout=LONG)
            self.train(server)
            self.run_plain(
                "dataset", "create", "bars-and-rings", "--label", "bar", "--label", "ring"
            )
            self.write_archive()
            # Newer than the classifier, so that the next trainer has something to do.
            self.hospital.publish([draw_images(6, seed=1)], timeout=LONG)
            strange = draw_images(2, seed=2)
            self.hospital.publish([replace(strange, labels=["wolf", "wolf"])], timeout=LONG)
            while self.ask(1)[0]["label"] == "":  # until the new classifier answers
                pass
            return self.ask(3)

    def train(self, server: RunningServer) -> None:
        """Train one classifier on all that is stored, as a service does."""
        options = server.settings.model_copy(
            update={"train_min_new_rows": 1, "training": TRAINING, "health": None}
        )
        settings = Settings.model_construct(
            kafka=self.kafka, server=options, client=ClientSettings()
        )
        with IoaProcess(settings, self.scratch / "train.log", "server", "train") as trainer:
            trainer.wait_for("classifier trained")

    def ask(self, count: int) -> list[dict[str, Any]]:
        """Ask about the first images of a seed that nothing was trained on."""
        report = self.hospital.ask(draw_images(count, seed=9), timeout=LONG)
        return [
            {"label": one.label, "probabilities": one.probabilities, "model": one.model_version}
            for one in sorted(report.predictions, key=lambda one: one.name)
        ]

    def leave_unanswered(self) -> None:
        """Leave letters that a broker has taken and no server reads, and questions that expired."""
        self.hospital.publish([draw_images(5, seed=3)], timeout=0.5)
        self.hospital.ask(draw_images(2, seed=4), timeout=1.0)
        with open_courier(self.kafka, CLIENT, self.hospital.directory, questions=True) as courier:
            courier.connect(LONG)
            letters = self.make_questions(3, seed=9, deadline=FAR_FUTURE)
            courier.put(letters, draw_images(3).names, timeout=LONG)
            while courier.outbox.counts.queued:
                courier.work(0.1)

    def leave_unsent(self) -> None:
        """Leave letters that no broker has taken, among them a question that nobody waits for."""
        self.broker.stop()
        self.hospital.publish([draw_images(4, seed=5)], timeout=0.5)
        with open_courier(self.kafka, CLIENT, self.hospital.directory, questions=True) as courier:
            for count, deadline in ((2, FAR_FUTURE), (1, LONG_PAST)):
                letters = self.make_questions(count, seed=6, deadline=deadline)
                courier.put(letters, draw_images(count).names, timeout=LONG)

    def make_questions(self, count: int, *, seed: int, deadline: float) -> list[Letter]:
        """Return questions with a deadline that ``ioa client ask`` would take years to set."""
        maker = self.hospital.make_maker()
        messages = maker.make(draw_images(count, seed=seed), "service")
        topics = Topics(PREFIX)
        return [make_letter(one, maker.form, topics, deadline=deadline) for one in messages]

    def write_archive(self) -> None:
        """Bring the archive up to date."""
        self.run("archive", "write", self.out / "archive")

    def replay_archive(self) -> dict[str, Any]:
        """Replay the archive and return what came of it."""
        into = f"sqlite:///{self.out / 'replayed.db'}"
        report = self.run("replay", "--archive", self.out / "archive", "--into", into)
        return {name: report[name] for name in ("read", "stored", "known", "digest")}

    def count_letters(self) -> dict[str, int]:
        """Return what the outboxes have seen; of copies, for a look leaves files beside them."""
        copies = self.scratch / "counted"
        shutil.copytree(self.hospital.directory, copies)
        status = self.run("client", "status", "--client-id", CLIENT, "--outbox", copies)
        return {name: value for name, value in status.items() if isinstance(value, int)}

    def sum_all(self) -> dict[str, str]:
        """Return sums of what waits and of all latents; of copies as well."""
        copies = shutil.copytree(self.out, self.scratch / "summed")
        exported = copies / "waiting.jsonl"
        where = ("--client-id", CLIENT, "--outbox", copies / "outbox")
        self.run("client", "outbox", "export", exported, *where)
        databases = ("ioa.db", "replayed.db")
        sums = {name: sum_latents(f"sqlite:///{copies / name}") for name in databases}
        return sums | {"outbox": sum_letters(exported)}

    def describe_encoder(self) -> dict[str, Any]:
        """Return the encoder's id, what it makes of three images, and the first one restored."""
        encoder = Encoder.load(self.hospital.encoder)
        latents = encoder.encode(draw_images(3, seed=9).images)
        with torch.no_grad():
            decoder = load_autoencoder(self.hospital.encoder).decoder
            restored = decoder(torch.from_numpy(latents[:1]))[0, 0]
        return {
            "encoder_id": encoder.encoder_id,
            "latents": latents.tolist(),
            "restored": restored.tolist(),
        }

    def run(self, *arguments: object) -> dict[str, Any]:
        """Run a command and return what it printed as JSON."""
        report: dict[str, Any] = json.loads(self.run_plain(*arguments, "--json").splitlines()[-1])
        return report

    def run_plain(self, *arguments: object) -> str:
        """Run a command for this deployment and return what it printed."""
        done = run(
            *arguments,
            IOA_KAFKA__BOOTSTRAP_SERVERS=self.kafka.bootstrap_servers,
            IOA_KAFKA__PREFIX=PREFIX,
            IOA_SERVER__DATABASE_URL=self.url,
            IOA_CLIENT__OUTBOX=str(self.hospital.directory),
        )
        if done.returncode:
            sys.exit(f"{arguments} ended with {done.returncode}: {done.stderr}")
        return done.stdout


def shrink(file: Path) -> None:
    """Write a database once more with small pages; nothing in it changes."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in (
            "PRAGMA journal_mode = DELETE",  # pages of a file with a log keep their size
            "PRAGMA page_size = 4096",
            "VACUUM",
            "PRAGMA journal_mode = WAL",
        ):
            connection.execute(statement).fetchall()


def write_json(file: Path, content: object) -> None:
    """Write a file that shows its changes line by line."""
    file.write_text(json.dumps(content, indent=1) + "\n")


def make_golden(scratch: Path) -> dict[str, Any]:
    """Return what the trainings of 0.1.0 give on this machine."""
    return {
        "machine": describe_machine(),
        "encoders": {weights: train_golden_encoder(weights) for weights in ("int8", "float32")},
        "classifier": train_classifier(),
        "experiment": run_experiment(scratch / "experiment"),
    }


def main() -> None:
    """Write all into the new folder that the command line names."""
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True)
    # The name of this machine would stand in the databases as the owner of positions.
    with (
        patch.object(socket, "gethostname", return_value="made"),
        TemporaryDirectory() as scratch,
    ):
        maker = Maker(out, Path(scratch))
        try:
            facts = maker.make()
        finally:
            maker.broker.stop()
        golden = make_golden(Path(scratch))
    write_json(out / "facts.json", facts)
    write_json(out / "golden.json", golden)


if __name__ == "__main__":
    main()
