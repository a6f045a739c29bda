"""Message ids: UUIDv7 from our clients, UUIDv5 of position and bytes for a message without one."""

import hashlib
import uuid

_NAMESPACE = uuid.UUID("6f2c5d0e-3b0a-5b1c-9d55-0a1d7c1e0a03")


def make_message_id(milliseconds: int, random: bytes) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7).

    Args:
        milliseconds: since the Unix epoch.
        random: 10 bytes, of which 74 bits are used.
    """
    value = (milliseconds << 80 | int.from_bytes(random)) & ~(0xF << 76 | 0x3 << 62)
    # Half the time that uuid.UUID takes; the server makes one for every answer.
    digits = f"{value | 0x7 << 76 | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def derive_message_id(
    cluster_id: str, topic: str, partition: int, offset: int, value: bytes
) -> str:
    """Return the UUIDv5 of a record's position and bytes.

    A record that is read twice keeps its id, and two equal images have two. The bytes distinguish
    records at one position of a topic that was made again. They also keep a record that claims an
    older one's position from getting its id.
    """
    digest = hashlib.sha256(value).hexdigest()
    return str(uuid.uuid5(_NAMESPACE, f"{cluster_id}/{topic}/{partition}/{offset}/{digest}"))


def is_derived(message_id: str) -> bool:
    """Tell whether ``derive_message_id`` made an id; those that clients send are of version 7."""
    return message_id[14] == "5"
