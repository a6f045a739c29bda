"""Batches that nobody can read: changed on a broker's disk, or too large once decompressed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.topics import Headers, send_raw

_HEADER = 12  # offset and length, which stand before what the length counts
_BOMB = 110_000_000


@dataclass(frozen=True)
class Damage:
    """What makes a batch unreadable: bytes that overwrite it on the disk, or a bomb in its place.

    ``place`` counts from the batch's beginning; its header has 61 bytes (KIP-98): the length at 8,
    magic at 16, attributes at 21, the number of records at 57.
    """

    name: str
    place: int = 0
    content: bytes = b""
    compression: str = "none"
    bomb: bool = False

    def __str__(self) -> str:
        return self.name


DAMAGES = (
    Damage("zstd-bomb", compression="zstd", bomb=True),
    Damage("sum", 90, b"\xff"),
    Damage("number-of-records", 57, b"\x7f"),
    Damage("compressed", 90, b"\x00\xff\x12\xff\x99", "lz4"),
    Damage("codec", 22, b"\x07"),
    Damage("magic", 16, b"\x07"),
)
ENDLESS = Damage("length", 8, b"\0\0\0\x05")
"""The broker itself cannot tell where such a batch ends, nor read what lies behind it."""


def send_unreadable(
    bootstrap: str, folder: Path, topic: str, bodies: Sequence[bytes], damage: Damage
) -> int:
    """Send a batch to partition 0 and make it unreadable; return how many records it has.

    Args:
        folder: of the ``EmbeddedBroker``.
        bodies: of which a bomb is sent instead.
    """
    if damage.bomb:
        bomb = b"\0" * _BOMB
        compression = damage.compression
        send_raw(bootstrap, topic, [(bomb, [])], largest=2 * _BOMB, compression=compression)
        return 1
    records: list[tuple[bytes, Headers]] = [(body, []) for body in bodies]
    (first, *_) = send_raw(bootstrap, topic, records, compression=damage.compression)
    _overwrite(folder / "data" / f"{topic}-0" / "00000000000000000000.log", first, damage)
    return len(bodies)


def _overwrite(log: Path, offset: int, damage: Damage) -> None:
    raw, start = log.read_bytes(), 0
    while int.from_bytes(raw[start : start + 8], "big") != offset:
        start += _HEADER + int.from_bytes(raw[start + 8 : start + _HEADER], "big")
    place = start + damage.place
    assert raw[place : place + len(damage.content)] != damage.content
    with log.open("r+b") as file:
        file.seek(place)
        file.write(damage.content)
