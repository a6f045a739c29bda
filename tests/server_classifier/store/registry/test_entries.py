from datetime import timedelta

import pytest
from sqlalchemy import Engine

from server_classifier.store.database import reading, writing
from server_classifier.store.errors import RegistryError
from server_classifier.store.registry.entries import (
    ClientRow,
    add_client,
    add_encoder,
    get_client,
    get_encoder,
    list_clients,
    list_encoders,
)
from tests.server_classifier.stored import ENCODER, NOW
from tests.support.manifests import make_manifest

LATER = NOW + timedelta(days=1)


def register(
    engine: Engine, client_id: str, site: str, default_encoder: str | None = None
) -> ClientRow:
    with writing(engine) as connection:
        return add_client(
            connection, client_id=client_id, site=site, default_encoder=default_encoder, now=NOW
        )


def test_a_client_reads_back_as_it_was_registered(engine: Engine) -> None:
    added = register(engine, "north-1", "north", ENCODER.network_id)
    assert added == ClientRow("north-1", "north", ENCODER.network_id, NOW)
    with reading(engine) as connection:
        assert get_client(connection, "north-1") == added
        assert get_client(connection, "north-2") is None


def test_clients_are_listed_by_site_and_name(engine: Engine) -> None:
    for client_id, site in [("b", "south"), ("c", "north"), ("a", "south")]:
        register(engine, client_id, site)
    with reading(engine) as connection:
        assert [(row.site, row.client_id) for row in list_clients(connection)] == [
            ("north", "c"),
            ("south", "a"),
            ("south", "b"),
        ]


def test_a_client_belongs_to_one_site(engine: Engine) -> None:
    register(engine, "north-1", "north")
    with pytest.raises(RegistryError, match="belongs to site north and cannot also"):
        register(engine, "north-1", "south")


def test_registering_again_changes_nothing_but_a_given_default(engine: Engine) -> None:
    first = register(engine, "north-1", "north")
    assert register(engine, "north-1", "north") == first
    changed = register(engine, "north-1", "north", ENCODER.network_id)
    assert changed == first._replace(default_encoder=ENCODER.network_id)
    assert register(engine, "north-1", "north") == changed
    with reading(engine) as connection:
        assert list_clients(connection) == [changed]


def test_an_unknown_default_encoder_is_refused(engine: Engine) -> None:
    with pytest.raises(RegistryError, match=r"c{64} is not registered; add the encoder first"):
        register(engine, "north-1", "north", "c" * 64)
    with reading(engine) as connection:
        assert list_clients(connection) == []


@pytest.mark.parametrize(
    ("client_id", "site", "kind"),
    [
        pytest.param("North-1", "north", "client", id="capital letter"),
        pytest.param("", "north", "client", id="empty client"),
        pytest.param("-north", "north", "client", id="leading hyphen"),
        pytest.param("n" * 64, "north", "client", id="too long"),
        pytest.param("north-1", "St. Mary's", "site", id="site"),
    ],
)
def test_a_name_with_a_wrong_character_is_refused(
    engine: Engine, client_id: str, site: str, kind: str
) -> None:
    with pytest.raises(RegistryError, match=f"the {kind} name .* is not 1 to 63 of a-z"):
        register(engine, client_id, site)


def test_an_encoder_reads_back_and_stays_as_first_added(engine: Engine) -> None:
    with writing(engine) as connection:
        again = add_encoder(connection, ENCODER, now=LATER)
        other = add_encoder(connection, make_manifest(latent_dim=16), now=LATER)
    assert again.added_at == NOW
    with reading(engine) as connection:
        assert list_encoders(connection) == [again, other]
        assert get_encoder(connection, ENCODER.network_id) == again
        assert get_encoder(connection, "c" * 64) is None
    assert again.manifest == ENCODER
    assert other.latent_dim == 16
