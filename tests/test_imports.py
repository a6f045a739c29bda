"""Light processes import neither torch nor other packages that they do not use."""

import subprocess
import sys

import pytest

MAIN = ("ioa.cli.main",)
CLIENT = (
    "ioa.cli.main",
    "ioa.cli.client.client",
    "client_autoencoder.client",
    "client_autoencoder.outbox.reading",
    "client_autoencoder.images.sources",
    "stream.exchange.reply_client",
)
SERVER = (
    "ioa.cli.main",
    "ioa.cli.server.server",
    "server_classifier.intake.ingest",
    "server_classifier.answering.inference",
)

HEAVY = {"torch", "alembic", "sklearn", "matplotlib", "onnx"}


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (MAIN, {"pydantic", "numpy", "confluent_kafka", "ioa.settings", "ioa.cli.client.client"}),
        (CLIENT, HEAVY | {"sqlalchemy", "structlog", "ioa.cli.server.server"}),
        (SERVER, HEAVY | {"sqlalchemy.dialects.postgresql", "PIL", "ioa.cli.client.client"}),
    ],
    ids=["main", "client", "server"],
)
def test_a_light_process_stays_light(modules: tuple[str, ...], unwanted: set[str]) -> None:
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert unwanted.isdisjoint(run.stdout.split())


def test_help_of_all_commands_imports_none_of_what_they_do() -> None:
    program = (
        "import sys\n"
        "from ioa.__main__ import main\n"
        "sys.argv = ['ioa', '--help']\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = run.stdout.splitlines()[-1].split()
    assert "ioa.cli.research.replay" in modules
    assert (HEAVY | {"pydantic", "numpy", "confluent_kafka", "sqlalchemy"}).isdisjoint(modules)


def test_importing_our_packages_touches_neither_network_nor_environment() -> None:
    program = (
        "import os, socket\n"
        "def refuse(*_, **__): raise AssertionError('import had an effect')\n"
        "socket.socket.connect = refuse\n"
        "os.environ.clear()\n"
        f"import {', '.join([*CLIENT, *SERVER])}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
