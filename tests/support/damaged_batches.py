"""Batches on a broker's disk, changed there as a bad disk would."""

from pathlib import Path

_HEADER = 12  # offset and length, which stand before what the length counts


def damage_batch(folder: Path, topic: str, number: int, place: int, content: bytes) -> None:
    """Overwrite bytes of a batch of partition 0.

    Args:
        folder: of an ``EmbeddedBroker``.
        number: of the batch in the partition, counted from 0.
        place: in the batch; its header has 61 bytes (KIP-98): length at 8, magic at 16, attributes
            at 21, last offset delta at 23, number of records at 57.
    """
    log = folder / "data" / f"{topic}-0" / "00000000000000000000.log"
    raw, start = log.read_bytes(), 0
    for _ in range(number):
        start += _HEADER + int.from_bytes(raw[start + 8 : start + _HEADER], "big")
    assert raw[start + place : start + place + len(content)] != content
    with log.open("r+b") as file:
        file.seek(start + place)
        file.write(content)
