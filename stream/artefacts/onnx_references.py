"""What an ONNX file refers to: values of its tensors may lie in other files, which no sum covers.

It is read as protobuf, message by message, since clients have no ``onnx`` package. The numbers are
those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _MESSAGE, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

# Fields of each kind of message that hold messages in which there may be tensors.
_CHILDREN: Final = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}

Field = tuple[int, memoryview | int]

_EXTERNAL_DATA = 13  # of a tensor
_ELSEWHERE: Field = (14, 1)  # its data_location: external


def refers_to_files(onnx: bytes) -> bool:
    """Tell whether a tensor anywhere in a model has its values in another file.

    Raises:
        ValueError: this is no protobuf.
    """
    waiting = [("model", memoryview(onnx))]
    while waiting:
        kind, message = waiting.pop()
        for number, value in _read_fields(message):
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number, value) == _ELSEWHERE):
                return True
            if number in _CHILDREN[kind] and isinstance(value, memoryview):
                waiting.append((_CHILDREN[kind][number], value))
    return False


def _read_fields(message: memoryview) -> Iterator[Field]:
    """Yield the number of each field, and its number or its bytes."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, place = _read_varint(message, place)
            yield number, value
            continue
        if wire_type == _MESSAGE:
            size, place = _read_varint(message, place)
        elif (size := _FIXED_SIZES.get(wire_type, -1)) < 0:
            raise ValueError(f"there is no wire type {wire_type}")
        if place + size > len(message):
            raise ValueError("it is cut off")
        yield number, message[place : place + size]
        place += size


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number and the place behind it."""
    value = 0
    for shift, byte in enumerate(message[place : place + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, place + shift + 1
    raise ValueError("it is cut off")
