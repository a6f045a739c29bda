"""The whole demo as a person starts it, with the server's processes killed in its middle."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.support.commands import IOA
from tests.support.images import draw_images, write_class_folders
from tests.support.waiting import LONG, wait_until

PROMISED = {
    "sent", "acknowledged", "stored", "requests", "replies", "accuracy", "accuracy_one_client",
    "accuracy_pixels", "latency_ms_p50", "latency_ms_p99", "latent_bytes", "image_bytes",
    "encoder_id", "model_version", "seconds",
}  # fmt: skip


def wait_for(condition: Callable[[], bool], demo: subprocess.Popen[str]) -> None:
    def is_met() -> bool:
        assert demo.poll() is None, "the demo ended early"
        return condition()

    wait_until(is_met, "nothing happened")


def kill_service(demo: subprocess.Popen[str], name: str) -> None:
    """Kill a service, waiting for it where the supervisor is about to start it again."""
    wait_for(lambda: try_kill(demo, name), demo)


def try_kill(demo: subprocess.Popen[str], name: str) -> bool:
    for child in psutil.Process(demo.pid).children(recursive=True):
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if child.cmdline()[-2:] == ["server", name]:
                child.send_signal(signal.SIGKILL)
                return True
    return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*IOA, "demo", "--json", "--keep", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.terminate()
    process.communicate()


@pytest.mark.timeout(900)
def test_counts_agree_although_every_service_is_killed(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    commands, server_log = directory / "commands.txt", directory / "server.log"
    wait_for(lambda: commands.exists() and "publish" in commands.read_text(), demo)
    kill_service(demo, "ingest")
    wait_for(lambda: "batch ingested" in server_log.read_text(), demo)
    kill_service(demo, "ingest")
    kill_service(demo, "train")
    wait_for(lambda: "client ask" in commands.read_text(), demo)
    kill_service(demo, "infer")
    processes = psutil.Process(demo.pid).children(recursive=True)
    output, errors = demo.communicate(timeout=LONG)

    assert demo.returncode == 0, errors
    report = json.loads(output.splitlines()[-1])
    assert report.keys() >= PROMISED
    assert report["sent"] == report["acknowledged"] == report["stored"] == 795
    assert report["requests"] == report["replies"] == 399
    assert report["accuracy"] >= 0.95
    assert (report["latent_bytes"], report["image_bytes"]) == (16, 64)
    assert report["attack_psnr_db"] > report["floor_psnr_db"] + 5
    died = [line for line in server_log.read_text().splitlines() if "service died" in line]
    assert len(died) >= 4
    with Image.open(directory / "demo.png") as picture:
        assert picture.width > 1000
    assert [process for process in processes if process.is_running()] == []


@pytest.mark.timeout(900)
def test_a_folder_of_images_takes_the_place_of_the_digits(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", draw_images(120, side=12))
    # Where a person stands when starting it; no process may take this for our package.
    (tmp_path / "schemas.py").write_text("raise AssertionError('executed')")
    demo = subprocess.run(
        [*IOA, "demo", "--json", "--data", tmp_path / "images"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    report = json.loads(demo.stdout.splitlines()[-1])
    assert report["sent"] == report["acknowledged"] == report["stored"] > 0
    assert report["image_bytes"] == 144
    assert report["picture"] == str(tmp_path / "ioa-demo.png")
    assert set(report["accuracy_per_class"]) == {"bar", "ring", "square"}
    assert "restored by an attacker" in demo.stderr
    assert "-m ioa client publish" in demo.stderr


def test_a_source_too_small_is_an_error_in_one_line(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "images", draw_images(12))
    demo = subprocess.run(
        [*IOA, "demo", "--data", tmp_path / "images"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 1
    assert "the demo needs 60 images, not 12" in demo.stderr
    assert len(demo.stderr.splitlines()) == 1
