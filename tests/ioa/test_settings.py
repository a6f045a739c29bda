"""Settings: flag > environment > TOML file > default."""

import os
import socket
from pathlib import Path

import pytest

from client_autoencoder.settings import ClientSettings
from ioa.errors import SettingsError
from ioa.settings import load_settings
from server_classifier.heads.settings import TrainingSettings
from server_classifier.settings import ServerSettings
from stream.kafka.settings import KafkaSettings


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


def test_what_is_not_said_of_the_training_keeps_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = TrainingSettings()
    config = tmp_path / "ioa.toml"
    config.write_text("[server.training]\ndropout = 0.2\nhidden = [32, 16]\n")
    monkeypatch.setenv("IOA_SERVER__TRAINING__WEIGHT_DECAY", "0.05")
    monkeypatch.setenv("IOA_SERVER__TRAINING__HIDDEN", "[8]")
    settings = load_settings(config, server={"training": {"epochs": 3}})
    changes = {"dropout": 0.2, "hidden": (8,), "weight_decay": 0.05, "epochs": 3}
    assert settings.server.training == default.model_copy(update=changes)
    assert settings.server.train_min_new_rows == 500
    assert load_settings(None, server={"seed": 1}).server.training.dropout == default.dropout


def test_a_variable_may_name_a_file_with_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "IOA_SERVER__DATABASE_URL_FILE": "postgresql://ioa:secret@db/ioa\n",
        "IOA_SERVER__TRAINING__EPOCHS_FILE": "7",
        "IOA_KAFKA__EXTRA_FILE": '{"sasl.password": "secret"}\n',
    }
    for name, content in files.items():
        file = tmp_path / name
        file.write_text(content)
        monkeypatch.setenv(name, str(file))
    config = tmp_path / "ioa.toml"
    config.write_text('[kafka]\nextra = {"security.protocol" = "SASL_SSL"}\n')
    settings = load_settings(config, server={"seed": 1})
    assert settings.server.database_url == "postgresql://ioa:secret@db/ioa"
    assert settings.server.training.epochs == 7
    assert settings.kafka.extra == {"security.protocol": "SASL_SSL", "sasl.password": "secret"}
    given = load_settings(config, server={"database_url": "sqlite://"})
    assert given.server.database_url == "sqlite://"


def test_a_secret_needs_no_variable_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "IOA_SERVER__DATABASE_URL").write_text("postgresql://ioa:secret@db/ioa\n")
    (tmp_path / "postgres_password").write_text("another program's")
    monkeypatch.setattr("ioa.settings.SECRETS", tmp_path)
    assert load_settings(None).server.database_url == "postgresql://ioa:secret@db/ioa"
    monkeypatch.setenv("IOA_SERVER__DATABASE_URL", "sqlite://")
    assert load_settings(None).server.database_url == "sqlite://"


def test_a_value_and_a_file_with_another_contradict_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prefix").write_text("other")
    monkeypatch.setenv("IOA_KAFKA__PREFIX_FILE", str(tmp_path / "prefix"))
    assert load_settings(None).kafka.prefix == "other"
    monkeypatch.setenv("IOA_KAFKA__PREFIX", "ioa")
    with pytest.raises(
        SettingsError, match="IOA_KAFKA__PREFIX and IOA_KAFKA__PREFIX_FILE are both set"
    ):
        load_settings(None)


def test_no_setting_is_called_as_the_file_of_another() -> None:
    sections = (KafkaSettings, ServerSettings, ClientSettings, TrainingSettings)
    names = [name for section in sections for name in section.model_fields]
    assert [name for name in names if name.endswith("_file")] == []


def test_a_process_is_called_after_its_host() -> None:
    assert load_settings(None).server.instance == socket.gethostname()


def test_an_address_in_brackets_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOA_KAFKA__BOOTSTRAP_SERVERS", "[::1]:9092")
    assert load_settings(None).kafka.bootstrap_servers == "[::1]:9092"


def test_a_variable_of_no_section_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOA_DATA_DIR", "data")
    monkeypatch.setenv("KAFKA__PREFIX", "other")
    assert load_settings(None).kafka.prefix == "ioa"


def test_a_child_process_gets_just_these_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(
        None,
        kafka={"bootstrap_servers": "here:1"},
        server={
            "labels": ["a", "b"],
            "train_interval_seconds": 2.5,
            "training": {"dropout": 0.2, "hidden": [32, 16]},
        },
        client={"encoder": Path("encoder")},
    )
    inherited = {
        "IOA_KAFKA__PREFIX": "other",
        "IOA_SERVER__TRAINING__EPOCHS": "7",
        "IOA_CONFIG": "/nowhere.toml",
        "PATH": "/bin",
    }
    environment = settings.child_environment(inherited)
    assert environment["PATH"] == "/bin"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    received = load_settings(None)
    assert received.model_dump() == settings.model_dump()
    assert received.server.training == TrainingSettings(dropout=0.2, hidden=(32, 16))


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("IOA_KAFKA__BOOTSTRAP_SERVER", "x:1", "kafka.bootstrap_server: Extra inputs"),
        ("IOA_SERVER__TRAIN_INTERVAL_SECONDS", "0", "server.train_interval_seconds: Input should"),
        (
            "IOA_SERVER__TRAINING__DROPOUT",
            "1",
            "server.training.dropout: Input should be",
        ),
        ("IOA_SERVER__TRAINING__HIDDEN", "[64, 0]", "server.training.hidden.1: Input should be"),
        (
            "IOA_SERVER__TRAINING__HIDDEN",
            "128,64",
            "server.training.hidden: Input should be a valid",
        ),
        ("IOA_SERVER__TRAINING", "dropout", "server.training: Input should be a valid"),
        ("IOA_SERVER", "training", "server: Input should be a valid"),
        ("IOA_SERVER__TRAINING__DROP", "0.1", "server.training.drop: Extra inputs"),
        ("IOA_KAFKA__PREFIX", "Upper Case", "kafka.prefix: String should match"),
        (
            "IOA_KAFKA",
            '{"replication_factor": 2, "min_insync_replicas": 3}',
            "kafka: Value error, min_insync_replicas is 3 and replication_factor 2",
        ),
        (
            "IOA_SERVER__DATABASE_URL_FILE",
            "/run/secrets/nowhere",
            "IOA_SERVER__DATABASE_URL_FILE: cannot read /run/secrets/nowhere: ",
        ),
        ("IOA_KAFKA__PARTITIONS", "0", "kafka.partitions: Input should be greater"),
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
