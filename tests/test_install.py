"""`scripts/install.sh` on a project of one file, which installs without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tiny_backend

SCRIPT = Path(__file__).parent.parent / "scripts" / "install.sh"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def install(
    project: Path, extras: str = "all", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the script without a network."""
    command = [str(project / "scripts" / "install.sh"), extras]
    ours = {"PYTHON": sys.executable, "TORCH_INDEX": "", "PIP_NO_INDEX": "1", "PYTHONPATH": ""}
    environment = os.environ | ours | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def make_project(folder: Path) -> Path:
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, folder / "scripts")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    shutil.copy(tiny_backend.__file__, folder / "backend.py")
    (folder / "constraints.txt").write_text("tiny==1\n")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture(scope="module")
def first_installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed project, of which each test gets a copy: a virtual environment takes seconds."""
    folder = make_project(tmp_path_factory.mktemp("first") / "project")
    done = install(folder)
    assert done.returncode == 0, done.stderr
    assert "Making .venv with Python 3" in done.stdout
    return folder


@pytest.fixture
def installed(first_installation: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first_installation, tmp_path / "copy", symlinks=True))


@pytest.fixture
def torch_index(tmp_path: Path) -> str:
    """A package index that only holds a PyTorch build with a local version."""
    folder = tmp_path / "index" / "torch"
    folder.mkdir(parents=True)
    wheel = tiny_backend.write_wheel(folder, "torch", "2.15.0+cpu")
    (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    return folder.parent.as_uri()


def test_a_folder_that_moved_is_installed_anew_and_then_left_alone(installed: Path) -> None:
    """The commands in ``.venv/bin`` name the folder in which they were installed."""
    moved, again = install(installed), install(installed)

    assert "Successfully installed tiny-1" in moved.stdout
    assert "Making .venv" not in moved.stdout
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_more_extras_are_installed_and_then_fewer_are_there(installed: Path) -> None:
    more, fewer = install(installed, "all,test"), install(installed, "all")

    assert "Successfully installed tiny-1" in more.stdout
    assert (fewer.returncode, fewer.stdout) == (0, "")


def test_other_pins_are_installed(installed: Path) -> None:
    install(installed)
    (installed / "constraints.txt").write_text("tiny==2\n")

    refused = install(installed)
    (installed / "constraints.txt").write_text("tiny<2\n")
    done = install(installed)

    assert refused.returncode == 1
    assert "Run the same again to go on." in refused.stderr
    assert "Successfully installed tiny-1" in done.stdout


def test_a_package_that_was_cut_off_is_installed_again(installed: Path, torch_index: str) -> None:
    install(installed, PIP_NO_INDEX="", TORCH_INDEX=torch_index)
    (module,) = installed.glob(".venv/lib/python3*/site-packages/torch.py")
    module.unlink()
    next(module.parent.glob("torch-*.dist-info/INSTALLER")).unlink()
    (installed / ".venv" / "installed-all").unlink()

    assert install(installed, PIP_NO_INDEX="").returncode == 0
    assert module.exists()


def test_a_broken_environment_is_made_anew(installed: Path) -> None:
    (installed / ".venv" / "bin" / "python").unlink()

    done = install(installed)

    assert done.returncode == 0, done.stderr
    assert "Making .venv" in done.stdout


def test_pytorch_comes_from_the_index_that_is_named_and_the_name_is_remembered(
    installed: Path, torch_index: str
) -> None:
    """`2.15.0+cpu` is a build of 2.15.0, which the pin must accept (PEP 440)."""
    (installed / "constraints.txt").write_text("torch==2.15.0\n")

    done = install(installed, PIP_NO_INDEX="", TORCH_INDEX=torch_index)
    again = install(installed)

    assert "Successfully installed torch-2.15.0+cpu" in done.stdout
    assert (installed / ".venv" / "torch-index").read_text().strip() == torch_index
    assert (again.returncode, again.stdout) == (0, "")


def test_an_older_python_is_refused_with_the_version_that_is_needed(
    project: Path, tmp_path: Path
) -> None:
    old = executable(tmp_path / "bin" / "old-python", "echo 3.8; exit 1")

    refused = install(project, PYTHON=str(old))

    assert refused.returncode == 1
    assert refused.stderr.startswith("Python 3.11 or newer is needed and was not found.")
    assert f"{old} is 3.8." in refused.stderr
    assert not (project / ".venv").exists()


def test_a_python_without_venv_is_answered_with_the_package_to_install(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")

    refused = install(project, PYTHONPATH=str(tmp_path))

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert refused.returncode == 1
    assert f"sudo apt install python{version}-venv" in refused.stderr
    assert not (project / ".venv").exists()


def test_a_newer_python_is_found_beside_an_old_one(project: Path, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "python3", "echo 3.8; exit 1")
    newer = executable(tmp_path / "bin" / "python3.13", f'exec {sys.executable} "$@"')

    done = install(project, PYTHON="", PATH=f"{newer.parent}:{os.environ['PATH']}")

    assert done.returncode == 0, done.stderr
    assert f"({newer})" in done.stdout
