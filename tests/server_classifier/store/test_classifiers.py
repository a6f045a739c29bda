import hashlib
from datetime import timedelta

from sqlalchemy import Engine

from server_classifier.store.classifiers import (
    ClassifierRow,
    add_classifier,
    latest_classifier,
    latest_versions,
    list_classifiers,
)
from server_classifier.store.database import reading, writing
from server_classifier.store.registry.entries import add_encoder
from tests.server_classifier.stored import ENCODER, NOW
from tests.support.manifests import make_manifest

OTHER = make_manifest(latent_dim=16)


def add(engine: Engine, encoder_id: str, onnx: bytes, minutes: int = 0) -> str:
    with writing(engine) as connection:
        return add_classifier(
            connection,
            encoder_id=encoder_id,
            onnx=onnx,
            manifest="{}",
            now=NOW + timedelta(minutes=minutes),
        )


def test_a_version_names_its_number_and_its_bytes(engine: Engine) -> None:
    first, second = add(engine, ENCODER.network_id, b"one"), add(engine, ENCODER.network_id, b"two")
    assert first == f"v1-{hashlib.sha256(b'one').hexdigest()[:12]}"
    assert second == f"v2-{hashlib.sha256(b'two').hexdigest()[:12]}"


def test_the_same_bytes_again_are_another_version(engine: Engine) -> None:
    versions = [add(engine, ENCODER.network_id, b"same") for _ in range(2)]
    assert [version.split("-")[0] for version in versions] == ["v1", "v2"]


def test_the_newest_of_each_encoder_is_found(engine: Engine) -> None:
    with writing(engine) as connection:
        add_encoder(connection, OTHER, now=NOW)
    add(engine, ENCODER.network_id, b"old")
    new = add(engine, ENCODER.network_id, b"new", minutes=5)
    other = add(engine, OTHER.network_id, b"other", minutes=9)
    with reading(engine) as connection:
        assert latest_classifier(connection, ENCODER.network_id) == ClassifierRow(
            new, ENCODER.network_id, "{}", NOW + timedelta(minutes=5), b"new"
        )
        assert latest_versions(connection) == {
            ENCODER.network_id: new,
            OTHER.network_id: other,
        }
        assert [row.version[:2] for row in list_classifiers(connection)] == ["v3", "v2", "v1"]


def test_before_the_first_training_there_is_none(engine: Engine) -> None:
    with reading(engine) as connection:
        assert latest_classifier(connection, ENCODER.network_id) is None
        assert latest_versions(connection) == {}
        assert list_classifiers(connection) == []
