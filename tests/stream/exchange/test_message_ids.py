"""Message ids."""

import uuid

from stream.exchange.message_ids import derive_message_id, make_message_id


def test_a_message_id_is_a_uuid_of_version_7_that_sorts_by_time() -> None:
    first = uuid.UUID(make_message_id(1_700_000_000_000, b"\xff" * 10))
    second = uuid.UUID(make_message_id(1_700_000_000_001, b"\x00" * 10))
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert (second.version, second.variant) == (7, uuid.RFC_4122)
    assert first < second
    assert first.int >> 80 == 1_700_000_000_000


def test_a_derived_id_belongs_to_one_position_and_its_bytes_for_ever() -> None:
    cluster, topic = "MkU3OEVBNTcwNTJENDM2Qg", "ioa.learning"
    derived = derive_message_id(cluster, topic, 2, 41, b"{}")
    assert derived == "4b4c67f8-ce33-51f1-b131-bd3ef7bff997"
    assert uuid.UUID(derived).version == 5
    assert derived != derive_message_id(cluster, topic, 2, 42, b"{}")
    assert derived != derive_message_id("another-cluster", topic, 2, 41, b"{}")
    assert derived != derive_message_id(cluster, topic, 2, 41, b"{ }")
