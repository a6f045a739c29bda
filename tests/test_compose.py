"""compose.yaml and Dockerfile name only what exists; no container engine is needed."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.core import TyperGroup

from ioa.cli.main import app
from ioa.settings import Settings
from server_classifier.operations.monitor import parse_address
from stream.broker.jars import read_lock

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
SHELL_WORDS = {"if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!"}


@dataclass
class Stage:
    """One ``FROM ... AS name`` of the Dockerfile with the instructions up to the next."""

    base: str
    instructions: list[tuple[str, str]]

    def all_of(self, instruction: str) -> list[str]:
        """Return the arguments of every such instruction."""
        return [rest for word, rest in self.instructions if word == instruction]

    def default_of(self, argument: str) -> str:
        """Return the default of an ``ARG``."""
        return next(
            value.strip('"')
            for name, _, value in (rest.partition("=") for rest in self.all_of("ARG"))
            if name == argument
        )


def read_stages() -> dict[str, Stage]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            current = stages[name] = Stage(base, [])
        elif current is not None:
            current.instructions.append((instruction, rest))
    return stages


STAGES = read_stages()


def ioa_commands(service: dict[str, Any]) -> list[list[str]]:
    """Return the arguments of every ``ioa`` that a service runs, in a shell script or directly."""
    words = [str(word) for word in service.get("command", [])]
    if "entrypoint" not in service:
        return [words]
    assert service["entrypoint"][0] == "sh"
    return [
        command[1:]
        for line in words[0].splitlines()
        for command in split_shell(line)
        if command[:1] == ["ioa"]
    ]


def split_shell(line: str) -> list[list[str]]:
    """Split a line of shell at ``;``, ``&&`` and the like, and drop the words of its grammar."""
    commands: list[list[str]] = [[]]
    for token in shlex.shlex(line, posix=True, punctuation_chars=True):
        if set(token) <= set("();<>|&"):
            commands.append([])
        elif commands[-1] or token not in SHELL_WORDS:
            commands[-1].append(token)
    return commands


def parse(arguments: list[str]) -> None:
    """Parse a command line without running it; raises what the program raises."""
    command, name, rest = typer.main.get_command(app), "ioa", arguments
    context = command.make_context(name, list(rest))
    while isinstance(command, TyperGroup):
        name, *rest = rest
        subcommand = command.get_command(context, name)
        assert subcommand is not None, f"there is no command {name}"
        command = subcommand
        context = command.make_context(name, list(rest), parent=context)


def known_variables() -> set[str]:
    sections = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    return {"IOA_CONFIG"} | {
        f"IOA_{section}__{name}".upper()
        for section, model in sections.items()
        for name in model.model_fields
    }


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists_with_these_options(name: str) -> None:
    commands = ioa_commands(SERVICES[name])

    assert commands
    for arguments in commands:
        parse(arguments)


@pytest.mark.parametrize(
    "arguments", [["client", "publish", "--dta", "digits"], ["server", "ingset"], ["client"]]
)
def test_a_wrong_command_would_be_noticed(arguments: list[str]) -> None:
    with pytest.raises((AssertionError, typer.TyperException)):
        parse(arguments)


def test_commands_are_found_in_shell_scripts() -> None:
    line = "test -e x || ioa encoder train --out x && until ioa client ask; do sleep 5; done"

    assert [command for command in split_shell(line) if command[:1] == ["ioa"]] == [
        ["ioa", "encoder", "train", "--out", "x"],
        ["ioa", "client", "ask"],
    ]


def test_the_services_of_a_deployment_are_there() -> None:
    commands = {" ".join(words[:2]) for name in OURS for words in ioa_commands(SERVICES[name])}

    assert commands == {
        "server ingest",
        "server train",
        "server infer",
        "encoder train",
        "encoder add",
        "client add",
        "client publish",
        "client ask",
    }


@pytest.mark.parametrize("name", OURS)
def test_every_environment_variable_is_a_setting(name: str) -> None:
    assert set(SERVICES[name]["environment"]) <= known_variables()


def test_a_service_keeps_its_name_when_its_container_is_replaced() -> None:
    """By default it is the host's, which is another one in each container."""
    for name in ("ingest", "infer"):
        assert SERVICES[name]["environment"]["IOA_SERVER__INSTANCE"]


def test_clients_register_with_the_names_they_send_under() -> None:
    registered = {
        words[2] for words in ioa_commands(SERVICES["setup"]) if words[:2] == ["client", "add"]
    }
    sending = {
        service["environment"]["IOA_CLIENT__CLIENT_ID"]
        for service in SERVICES.values()
        if "IOA_CLIENT__CLIENT_ID" in service.get("environment", {})
    }

    assert registered == sending
    assert len(sending) == 2


def test_one_password_serves_database_and_server_and_has_no_default() -> None:
    url = SERVICES["ingest"]["environment"]["IOA_SERVER__DATABASE_URL"]
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]

    assert re.fullmatch(r"\$\{IOA_DB_PASSWORD:\?[^}]+\}", password)
    assert url == f"postgresql://ioa:{password}@postgres:5432/ioa"


def test_dependencies_of_services_exist_and_can_meet_their_condition() -> None:
    for name, service in SERVICES.items():
        for other, dependency in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} depends on {other}"
            if dependency["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
            if dependency["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", ["ingest", "train", "infer"])
def test_services_are_healthy_when_they_are_ready(name: str) -> None:
    address = SERVICES[name]["environment"]["IOA_SERVER__HEALTH"]
    host, port = parse_address(address)
    python, option, program = SERVICES[name]["healthcheck"]["test"][1:]

    assert (python, option) == ("python", "-c")
    assert f"'http://{host}:{port}/readyz'" in program
    compile(program, name, "exec")


def test_named_volumes_are_declared_and_used() -> None:
    mounted = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
    }

    assert mounted == set(COMPOSE["volumes"])


def test_kafka_is_there_for_containers_and_for_this_machine_only() -> None:
    kafka = SERVICES["kafka"]
    environment = kafka["environment"]
    listeners, advertised, protocols = (
        dict(entry.split(separator, 1) for entry in environment[name].split(","))
        for name, separator in (
            ("KAFKA_LISTENERS", "://"),
            ("KAFKA_ADVERTISED_LISTENERS", "://"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", ":"),
        )
    )

    assert advertised == {"INTERNAL": "kafka:9092", "HOST": "127.0.0.1:9094"}
    assert listeners == {"INTERNAL": ":9092", "CONTROLLER": ":9093", "HOST": ":9094"}
    assert protocols.keys() == listeners.keys()
    assert kafka["ports"] == ["127.0.0.1:9094:9094"]
    assert kafka["healthcheck"]["test"][-1] == advertised["INTERNAL"]
    for name in OURS:
        servers = SERVICES[name]["environment"]["IOA_KAFKA__BOOTSTRAP_SERVERS"]
        assert servers == advertised["INTERNAL"]


def test_kafka_keeps_its_data_in_its_volume() -> None:
    kafka = SERVICES["kafka"]

    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", kafka["environment"]["CLUSTER_ID"])


def test_images_are_pinned_and_kafka_is_the_version_of_the_lock() -> None:
    foreign = [service["image"] for service in SERVICES.values() if "build" not in service]
    foreign += [stage.base for stage in STAGES.values() if stage.base not in STAGES]

    for image in foreign:
        assert re.search(r":\d[\w.-]*$", image), f"{image} names no version"
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{read_lock().kafka}"


def test_every_file_that_is_copied_exists_and_is_not_ignored() -> None:
    not_ignored = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    copied = [
        source
        for stage in STAGES.values()
        for rest in stage.all_of("COPY")
        for source in rest.split()[:-1]
    ]

    assert sorted(copied) == sorted(not_ignored)
    for source in copied:
        assert (ROOT / source).exists(), f"the Dockerfile copies {source}, which is not there"


def test_builds_name_stages_and_arguments_of_the_dockerfile() -> None:
    for name in OURS:
        build = SERVICES[name]["build"]
        for argument in build.get("args", {}):
            STAGES[build["target"]].default_of(argument)
        assert SERVICES[name]["image"] == f"ioa-{build['target']}"


def test_the_client_image_is_without_pytorch_and_the_server_image_with() -> None:
    asked = {SERVICES[name]["build"].get("args", {}).get("EXTRAS", "") for name in OURS}

    assert STAGES["client"].default_of("EXTRAS") == ""
    assert asked == {"", "[demo]"}
    assert "torch" not in " ".join(STAGES["client"].all_of("RUN"))
    assert STAGES["server"].default_of("EXTRAS") == "[server,train,postgres,demo]"


@pytest.mark.parametrize("name", ["client", "server"])
def test_images_install_by_the_constraints_and_run_as_an_ordinary_user(name: str) -> None:
    stage = STAGES[name]
    installs = [run for rest in stage.all_of("RUN") for run in rest.split("&&") if " pip " in run]

    assert installs
    assert all("--constraint constraints.txt" in run for run in installs)
    assert stage.all_of("USER") == ["ioa"]
    assert stage.all_of("ENTRYPOINT") == ['["ioa"]']
