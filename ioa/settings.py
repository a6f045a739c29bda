"""All settings of a process, by pydantic-settings: flag > environment > TOML file > default."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from client_autoencoder.settings import ClientSettings
from ioa.errors import SettingsError
from server_classifier.settings import ServerSettings
from stream.kafka.settings import KafkaSettings

SECRETS = Path("/run/secrets")
"""Where container engines put secrets: a file ``IOA_...`` there holds the value of ``IOA_...``."""


class _Environment(EnvSettingsSource):
    """The environment; ``IOA_..._FILE`` names a file that holds the value of ``IOA_...``.

    A file in ``SECRETS`` is such a file; the environment wins over it.
    """

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        sections = tuple(f"{self.env_prefix}{name}".lower() for name in settings.model_fields)
        secrets = {file.name.lower(): str(file) for file in SECRETS.glob("*") if file.is_file()}
        files = {
            f"{name}_file": path for name, path in secrets.items() if name not in self.env_vars
        }
        self.env_vars = _read_files(files | dict(self.env_vars), sections)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        # A value that is not JSON where a field needs it is left to the validation, which names the
        # field; the error of this source would name the section only.
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _read_files(
    variables: Mapping[str, str | None], sections: tuple[str, ...]
) -> dict[str, str | None]:
    """Put the content of a file in the place of each variable of a section that names one.

    Raises:
        SettingsError: a file cannot be read, or the value is there as well.
    """
    values = dict(variables)
    for name, path in variables.items():
        if not (path and name.startswith(sections) and name.endswith("_file")):
            continue
        of = name.removesuffix("_file")
        if of in variables:
            raise SettingsError(f"{of.upper()} and {name.upper()} are both set; keep one of them")
        try:
            values[of] = Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name.upper()}: cannot read {path}: {error}") from error
        del values[name]
    return values


class Settings(BaseSettings):
    """A section for each package: ``kafka.bootstrap_servers`` is ``IOA_KAFKA__BOOTSTRAP_SERVERS``.

    In a TOML file the same value is ``bootstrap_servers`` under ``[kafka]``.
    """

    model_config = SettingsConfigDict(
        env_prefix="IOA_",
        env_nested_delimiter="__",
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    server: ServerSettings = ServerSettings()
    client: ClientSettings = ClientSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first; the file counts only where one is named."""
        return (init_settings, _Environment(settings_cls), TomlConfigSettingsSource(settings_cls))

    def child_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for a child process that has exactly these settings."""
        sections = {
            f"IOA_{section.upper()}": json.dumps(values)
            for section, values in self.model_dump(mode="json").items()
        }
        inherited = {
            name: value
            for name, value in environment.items()
            if name != "IOA_CONFIG" and not name.startswith(tuple(sections))
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
    config = config or (Path(os.environ["IOA_CONFIG"]) if "IOA_CONFIG" in os.environ else None)
    if config is not None and not config.is_file():
        raise SettingsError(f"there is no settings file {config}")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        return FromFile(**given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(f"settings: {faults}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {config} is not TOML: {error}") from error
