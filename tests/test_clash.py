"""A person's own `schemas.py`, and another distribution's `stream` or `schemas`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import IOA
from tests.support.probe import Probe, find_free_address
from tests.support.waiting import LONG

ROOT = Path(__file__).parent.parent


def run_version(folder: Path, command: tuple[str, ...] = IOA) -> subprocess.CompletedProcess[str]:
    """Run ``ioa --version`` where the packages of a folder come before ours."""
    path = os.pathsep.join(map(str, (folder, ROOT)))
    return subprocess.run(
        [*command, "--version"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("safe", [["-P"], []], ids=["-P", "python -m ioa"])
def test_services_run_where_a_person_has_a_schemas_of_their_own(
    safe: list[str], kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "schemas.py").write_text("raise AssertionError('executed')")
    address = find_free_address(ports=4)
    command = [sys.executable, *safe, "-m", "ioa", "server", "run", "-b", kafka]
    command += ["--prefix", topic_prefix, "--health", address]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=log)
    try:
        Probe(address).wait_until_ready()
    finally:
        process.terminate()
        process.wait(LONG)
    assert "executed" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", ["schemas", "stream"])
def test_a_package_from_elsewhere_is_named_and_not_executed(tmp_path: Path, name: str) -> None:
    foreign = tmp_path / f"{name}.py"
    foreign.write_text("print('executed')")
    refused = run_version(tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"ioa: `import {name}` would import {foreign}, not our ")
    assert len(refused.stderr.splitlines()) == 1


def test_a_distribution_that_was_installed_over_ours_is_named(tmp_path: Path) -> None:
    for name in ("ioa", "schemas", "stream", "client_autoencoder", "server_classifier"):
        (tmp_path / name).symlink_to(ROOT / name)
    record = tmp_path / "schemas-0.7.1.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("schemas/elsewhere.py,sha256=x,1\n")
    assert run_version(tmp_path).returncode == 0
    record.write_text("schemas/__init__.py,sha256=x,1\n")
    refused = run_version(tmp_path)
    assert refused.returncode == 1
    assert "belongs to schemas-0.7.1, too" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
