"""The wheel is complete, packages are pinned, and the pages name only what exists."""

import os
import re
import stat
import subprocess
import sys
import tarfile
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.distributions import (
    PROJECT,
    ROOT,
    build,
    copy_project,
    find_required,
    project_files,
)

PACKAGES = ("schemas", "stream", "client_autoencoder", "server_classifier", "ioa")
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "manager"}
PATH_ENDINGS = (".py", ".md", ".avsc", ".toml", ".yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of all files in a wheel."""
    copy = copy_project(tmp_path_factory.mktemp("source"))
    return zipfile.ZipFile(build("wheel", copy, tmp_path_factory.mktemp("wheel"))).namelist()


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    copy, folder = copy_project(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", copy, tmp_path_factory.mktemp("built"))) as packed:
        packed.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: list[str]) -> None:
    files = {str(file) for file in project_files() if file.parts[0] in PACKAGES}

    assert {name for name in wheel if ".dist-info/" not in name} == files


@pytest.mark.parametrize(
    "name",
    [
        "schemas/latent.v1.avsc",
        "schemas/latent.v2.avsc",
        *(f"{name}/py.typed" for name in PACKAGES),
        "stream/broker/kafka-jars.lock.json",
        "server_classifier/store/migrations/env.py",
        "server_classifier/store/migrations/versions/0001_first_tables.py",
    ],
)
def test_the_wheel_holds_what_the_program_reads(wheel: list[str], name: str) -> None:
    assert name in wheel


def test_the_wheel_names_its_licence(wheel: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


def test_the_source_distribution_holds_every_file_of_the_project(sdist: Path) -> None:
    assert sorted(str(file) for file in project_files() if not (sdist / file).exists()) == []


def test_the_source_distribution_can_run_its_tests(sdist: Path) -> None:
    """All are collected; those that read files beside the packages are run."""
    pytest_of = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(sdist)}
    reading = ("tests/test_compose.py", "tests/schemas/wire", "tests/benchmarks")
    for arguments in (("--collect-only", "tests"), reading):
        run = subprocess.run(
            [*pytest_of, *arguments],
            cwd=sdist,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_ours(name: str) -> None:
    """A short name such as `stream` may also be that of another package."""
    assert import_module(name).__file__ == str(ROOT / name / "__init__.py")


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(file) for file in project_files() if file.stem in SAYS_NOTHING] == []


def test_every_package_that_was_tested_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]

    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in pins)
    extras = PROJECT["optional-dependencies"]
    texts = [text for group in (PROJECT["dependencies"], *extras.values()) for text in group]
    required = find_required(text for text in texts if not text.startswith(PROJECT["name"]))
    assert required - {canonicalize_name(pin.name) for pin in pins} == set()


def test_the_base_install_is_light() -> None:
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}

    assert names.isdisjoint({"torch", "sqlalchemy", "alembic", "scikit-learn", "matplotlib"})


def test_ci_runs_the_test_commands_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & stat.S_IXUSR
    commands = script.read_text().splitlines()[-2:]
    assert commands == ["make test", "make test-crash"]
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{command}`" in readme for command in commands)


def test_the_workflow_runs_all_checks_on_every_python_that_is_promised() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["check"]

    assert [step["run"] for step in job["steps"] if "run" in step] == ["make check", ".ci/run"]
    assert job["strategy"]["matrix"]["python"] == re.findall(
        r"Programming Language :: Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"])
    )


def test_make_prints_all_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)

    printed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert re.findall(r"^make ([\w-]+) ", printed, re.MULTILINE) == targets.split()


def test_the_architecture_page_names_only_what_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    tokens = set(re.findall(r"`([^`\s]+)`", text))
    paths = {token for token in tokens if "/" in token or token.endswith(PATH_ENDINGS)}

    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
