"""The names that each package exports: lazily, with a docstring whose example runs."""

import doctest
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_autoencoder.client import Client
from stream.kafka.settings import KafkaSettings
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders
from tests.support.taught_server import run_taught_server

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "stream", "client_autoencoder", "server_classifier")
NAMES = [(package, name) for package in PACKAGES for name in import_module(package).__all__]
CLIENT = "radiology-1"
# Readers see a usual address, and the default topics; the test has its own.
ADDRESS = 'bootstrap_servers="127.0.0.1:9092"'


@dataclass(frozen=True)
class Stage:
    """A folder in which the examples find what they name, and the names that they use."""

    kafka: KafkaSettings
    names: dict[str, Any]

    def place(self, text: str) -> str:
        """Return an example that talks to the test's broker."""
        here = f'bootstrap_servers="{self.kafka.bootstrap_servers}", prefix="{self.kafka.prefix}"'
        return text.replace(ADDRESS, here)


@pytest.fixture(scope="module")
def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    settings = KafkaSettings(bootstrap_servers=kafka, prefix="publicnames")
    encoder = train_encoder(folder / "encoder")
    batch = draw_images(30)
    write_class_folders(folder / "images", draw_images(3))
    np.savez(folder / "radiology.npz", images=batch.images, labels=batch.labels)
    client = Client(
        client_id=CLIENT,
        encoder=encoder,
        bootstrap_servers=kafka,
        prefix=settings.prefix,
        outbox=folder / "other-outbox",
    )
    with (
        run_taught_server(settings, encoder, folder) as server,
        client,
        pytest.MonkeyPatch.context() as patch,
    ):
        server.register(CLIENT)
        patch.chdir(folder)
        names = {"images": batch.images, "labels": [str(label) for label in batch.labels]}
        yield Stage(settings, names | {"client": client, "engine": server.engine, "np": np})


@pytest.mark.parametrize(("package", "name"), NAMES, ids=map(".".join, NAMES))
def test_the_example_of_a_public_name_runs(stage: Stage, package: str, name: str) -> None:
    documented = inspect.getdoc(getattr(import_module(package), name)) or ""
    example = doctest.DocTestParser().get_doctest(
        stage.place(documented), dict(stage.names), name, None, None
    )
    assert example.examples, f"{package}.{name} has no example"
    output = io.StringIO()
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=output.write)
    assert not failed.failed, output.getvalue()


def test_the_lines_of_the_documentation_run(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "client-library.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    exec(stage.place("\n".join(blocks)), {})  # noqa: S102 - our own text
    published, asked, of_files = capsys.readouterr().out.splitlines()
    assert published == "30 {} []"
    assert asked.startswith("bar {'bar': ")
    assert of_files == "3 []"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_what_it_lists(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (name.islower(), name))
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith(f"{package}.")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_costs_nothing(package: str) -> None:
    program = (
        f"import sys, time; began = time.process_time(); import {package}; "
        "print(time.process_time() - began, *sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    seconds, *modules = ran.stdout.split()
    assert float(seconds) < 0.1
    assert {"numpy", "confluent_kafka", "torch", "pydantic", "sqlalchemy"}.isdisjoint(modules)
