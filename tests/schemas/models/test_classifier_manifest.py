import json

import pytest

from schemas.errors import SchemaError
from schemas.models.classifier_manifest import ClassifierManifest

MANIFEST = ClassifierManifest(
    encoder_id="ab" * 32,
    labels=("cat", "Lungenentzündung"),
    latent_dim=16,
    rows=800,
    available=900,
    last_latent_id=950,
    seed=0,
    settings={"hidden": [256, 128, 64], "dropout": 0.3},
    versions={"torch": "2.13.0"},
    epochs=47,
    loss=0.25,
    seconds=1.5,
    sha256="cd" * 32,
)


def test_a_manifest_reads_back() -> None:
    assert ClassifierManifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_its_fields_have_the_names_of_messages() -> None:
    document = json.loads(MANIFEST.to_json())
    assert document["format"] == "ioa-classifier/1"
    assert document["encoderID"] == "ab" * 32
    assert document["lastLatentID"] == 950
    assert list(document) == sorted(document)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"format": "ioa-classifier/2"}, "not 'ioa-classifier/1'", id="newer"),
        pytest.param({"labels": None}, "labels: is missing", id="field missing"),
    ],
)
def test_another_manifest_is_refused(change: dict[str, str | None], reason: str) -> None:
    document = json.loads(MANIFEST.to_json()) | change
    text = json.dumps({name: value for name, value in document.items() if value is not None})
    with pytest.raises(SchemaError, match=reason):
        ClassifierManifest.from_json(text)
