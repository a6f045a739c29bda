"""Sends records with header names that are not UTF-8.

The Python client cannot send them, so this calls the C functions of the client's own librdkafka.
"""

import ctypes
import platform
from collections.abc import Sequence
from pathlib import Path

import confluent_kafka
import pytest

_TOPIC, _PARTITION, _VALUE, _FLAGS, _HEADERS, _END = 1, 3, 4, 7, 10, 0  # rd_kafka_vtype_t
_COPY = 2  # RD_KAFKA_MSG_F_COPY


BAD_NAME = b"\xff\xfebad"


def find_librdkafka() -> Path:
    """Return the library inside the wheel; skip the test where it cannot be called."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = next(folder.glob("librdkafka*"), None)
    if library is None or platform.machine() != "x86_64":
        pytest.skip("librdkafka's C functions cannot be called here")
    return library


def send_damaged_header(
    bootstrap: str,
    topic: str,
    names: Sequence[bytes] = (BAD_NAME,),
    value: bytes = b"{}",
) -> None:
    """Produce one record with these headers to partition 0 and wait until it is delivered."""
    kafka = ctypes.CDLL(str(find_librdkafka()))
    for make in (kafka.rd_kafka_conf_new, kafka.rd_kafka_new, kafka.rd_kafka_headers_new):
        make.restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(kafka.rd_kafka_conf_new())
    kafka.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), error, 512)
    producer = ctypes.c_void_p(kafka.rd_kafka_new(0, conf, error, 512))
    headers = ctypes.c_void_p(kafka.rd_kafka_headers_new(ctypes.c_size_t(1)))
    size = ctypes.c_ssize_t
    for name in names:
        kafka.rd_kafka_header_add(headers, name, size(len(name)), b"v", size(1))
    kafka.rd_kafka_producev(
        producer,
        *(ctypes.c_int(_TOPIC), ctypes.c_char_p(topic.encode())),
        *(ctypes.c_int(_PARTITION), ctypes.c_int32(0)),
        *(ctypes.c_int(_VALUE), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(ctypes.c_int(_FLAGS), ctypes.c_int(_COPY)),
        *(ctypes.c_int(_HEADERS), headers),
        ctypes.c_int(_END),
    )
    kafka.rd_kafka_flush(producer, 10_000)
    kafka.rd_kafka_destroy(producer)
