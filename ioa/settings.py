"""All settings of a process: flag > environment > TOML file > default."""

import json
import os
import tomllib
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from client_autoencoder.settings import ClientSettings
from ioa.errors import SettingsError
from server_classifier.settings import ServerSettings
from stream.settings import KafkaSettings

_PREFIX = "IOA_"
_CONFIG = "IOA_CONFIG"


class Settings(BaseModel):
    """``IOA_KAFKA__BOOTSTRAP_SERVERS=host:9092`` in the environment is ``kafka.bootstrap_servers``.

    In a TOML file the same value stands under ``[kafka]``.
    """

    model_config = ConfigDict(extra="forbid")

    kafka: KafkaSettings = KafkaSettings()
    server: ServerSettings = ServerSettings()
    client: ClientSettings = ClientSettings()

    def child_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for a child process that shall have just these settings."""
        sections = {
            f"{_PREFIX}{section.upper()}": json.dumps(values)
            for section, values in self.model_dump(mode="json").items()
        }
        inherited = {
            name: value
            for name, value in environment.items()
            if name != _CONFIG and not name.startswith(tuple(sections))
        }
        return inherited | sections


def load_settings(config: Path | None, **flags: Mapping[str, Any]) -> Settings:
    """Read the settings; flags that are None were not given.

    Example: ``load_settings(None, kafka={"bootstrap_servers": "127.0.0.1:9092"})``.

    Raises:
        SettingsError: a value is wrong or a name unknown; the text says which.
    """
    given: dict[str, Any] = {
        section: present
        for section, values in flags.items()
        if (present := {name: value for name, value in values.items() if value is not None})
    }
    config = config or (Path(os.environ[_CONFIG]) if _CONFIG in os.environ else None)
    sources = ({} if config is None else _read_file(config), _read_environment(os.environ), given)
    try:
        return Settings.model_validate(reduce(_merge, sources))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(f"settings: {faults}") from error


def _read_file(config: Path) -> dict[str, Any]:
    if not config.is_file():
        raise SettingsError(f"there is no settings file {config}")
    try:
        return tomllib.loads(config.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {config} is not TOML: {error}") from error


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the variables of our sections say, of which the longer names count more."""
    told: dict[str, Any] = {}
    for name in sorted(environment):
        section, *rest = name.removeprefix(_PREFIX).lower().split("__")
        if name.startswith(_PREFIX) and section in Settings.model_fields:
            value = _decode(environment[name])
            for key in reversed(rest):
                value = {key: value}
            told = _merge(told, {section: value})
    return told


def _decode(text: str) -> Any:
    """Return the list or object that a text in JSON is, or the text: validation says the rest."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _merge(before: dict[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, section by section; ``after`` counts where they differ."""
    merged = before.copy()
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[name] = value
    return merged
