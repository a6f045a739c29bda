"""Settings: flag > environment > TOML file > default."""

import os
from pathlib import Path

import pytest

from ioa.errors import SettingsError
from ioa.settings import load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("IOA_")]:
        monkeypatch.delenv(name)


def test_each_source_gives_way_to_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "ioa.toml"
    config.write_text('[kafka]\nbootstrap_servers = "file:1"\nprefix = "file"\n')
    assert load_settings(None).kafka.bootstrap_servers == "127.0.0.1:9092"
    assert load_settings(config).kafka.bootstrap_servers == "file:1"
    monkeypatch.setenv("IOA_KAFKA__BOOTSTRAP_SERVERS", "environment:1")
    settings = load_settings(config)
    assert (settings.kafka.bootstrap_servers, settings.kafka.prefix) == ("environment:1", "file")
    settings = load_settings(config, kafka={"bootstrap_servers": "flag:1", "prefix": None})
    assert (settings.kafka.bootstrap_servers, settings.kafka.prefix) == ("flag:1", "file")
    monkeypatch.setenv("IOA_CONFIG", str(config))
    assert load_settings(None).kafka.prefix == "file"


def test_a_child_process_gets_just_these_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(
        None,
        kafka={"bootstrap_servers": "here:1"},
        server={"labels": ["a", "b"], "train_interval_seconds": 2.5},
        client={"encoder": Path("encoder")},
    )
    inherited = {"IOA_KAFKA__PREFIX": "other", "IOA_CONFIG": "/nowhere.toml", "PATH": "/bin"}
    environment = settings.child_environment(inherited)
    assert environment["PATH"] == "/bin"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings(None).model_dump() == settings.model_dump()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("IOA_KAFKA__BOOTSTRAP_SERVER", "x:1", "kafka.bootstrap_server: Extra inputs"),
        ("IOA_SERVER__TRAIN_INTERVAL_SECONDS", "0", "server.train_interval_seconds: Input should"),
        ("IOA_KAFKA__PREFIX", "Upper Case", "kafka.prefix: String should match"),
        ("IOA_CONFIG", "/nowhere.toml", "there is no settings file /nowhere.toml"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(None)
    assert words in str(caught.value)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    config = tmp_path / "ioa.toml"
    config.write_text("[kafka\n")
    with pytest.raises(SettingsError, match=r"ioa\.toml"):
        load_settings(config)
