"""Directories that a broker cannot use, on real file systems, and process ids that lie."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stream.broker.embedded import EmbeddedBroker
from stream.broker.errors import BrokerError
from stream.broker.pidfile import find_broker, record_pid
from stream.broker.properties import choose_ports, read_ports, write_identity, write_settings

START = """
import sys
from pathlib import Path
from stream.broker.embedded import EmbeddedBroker
from stream.broker.errors import BrokerError
try:
    EmbeddedBroker(Path(sys.argv[1])).start()
except BrokerError as error:
    print(error)
"""


def start_on_small_disk(directory: Path, options: str) -> str:
    """Start a broker on a memory file system mounted for that process alone; return its error."""
    mount = f'mount -t tmpfs -o {options} tmpfs "$1" && exec "$2" -c "$3" "$1"'
    own_namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if not can_run([*own_namespace, "mount -t tmpfs tmpfs /mnt"]):
        pytest.skip("this machine does not let us mount a file system of our own")
    run = subprocess.run(
        [*own_namespace, mount, "sh", directory, sys.executable, START],
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout


def can_run(command: list[str]) -> bool:
    found = shutil.which(command[0]) is not None
    return found and subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [("ro", "Read-only file system"), ("size=4k", "No space left on device")],
    ids=["read-only", "full"],
)
def test_a_disk_that_takes_nothing_is_named(tmp_path: Path, options: str, reason: str) -> None:
    error = start_on_small_disk(tmp_path, options)

    assert reason in error
    assert f"make {tmp_path} writable" in error


def test_a_disk_that_fills_during_the_start_is_named(tmp_path: Path) -> None:
    error = start_on_small_disk(tmp_path, "size=20k")

    assert f"free some space for {tmp_path}" in error


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BrokerError, match=f"cannot write {file}.*name another directory"):
        EmbeddedBroker(file).start()


def test_the_directory_of_another_kafka_is_left_alone(tmp_path: Path) -> None:
    properties = tmp_path / "server.properties"
    properties.write_text("listeners=PLAINTEXT://:9092\n")
    with pytest.raises(BrokerError, match="not written by ioa"):
        EmbeddedBroker(tmp_path, port=29092).start()
    assert [*tmp_path.iterdir()] == [properties]


def test_a_reused_process_id_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    record_pid(tmp_path, os.getpid())
    assert find_broker(tmp_path) is None
    with pytest.raises(BrokerError, match="just started"):
        record_pid(tmp_path, 1)


def test_ports_are_read_back_and_the_identity_stays(tmp_path: Path) -> None:
    assert read_ports(tmp_path) is None
    for ports in (choose_ports(), choose_ports(29092)):
        write_settings(tmp_path, ports)
        assert read_ports(tmp_path) == ports

    write_identity(tmp_path)
    first = (tmp_path / "data" / "meta.properties").read_text()
    write_identity(tmp_path)
    assert (tmp_path / "data" / "meta.properties").read_text() == first
