"""Sends a record with a header name that is not UTF-8.

The Python client cannot send it, so this calls the C functions of the client's own librdkafka.
"""

import ctypes
from pathlib import Path

import confluent_kafka

_TOPIC, _PARTITION, _VALUE, _FLAGS, _HEADERS, _END = 1, 3, 4, 7, 10, 0  # rd_kafka_vtype_t
_COPY = 2  # RD_KAFKA_MSG_F_COPY


def find_librdkafka() -> Path | None:
    """Return the library inside the wheel, or None if the client was not installed from a wheel."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    return next(folder.glob("librdkafka*"), None)


def send_damaged_header(library: Path, bootstrap: str, topic: str) -> None:
    """Produce one record to partition 0 and wait until it is delivered."""
    kafka = ctypes.CDLL(str(library))
    for make in (kafka.rd_kafka_conf_new, kafka.rd_kafka_new, kafka.rd_kafka_headers_new):
        make.restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(kafka.rd_kafka_conf_new())
    kafka.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), error, 512)
    producer = ctypes.c_void_p(kafka.rd_kafka_new(0, conf, error, 512))
    headers = ctypes.c_void_p(kafka.rd_kafka_headers_new(ctypes.c_size_t(1)))
    name, size = b"\xff\xfebad", ctypes.c_ssize_t
    kafka.rd_kafka_header_add(headers, name, size(len(name)), b"v", size(1))
    kafka.rd_kafka_producev(
        producer,
        *(ctypes.c_int(_TOPIC), ctypes.c_char_p(topic.encode())),
        *(ctypes.c_int(_PARTITION), ctypes.c_int32(0)),
        *(ctypes.c_int(_VALUE), ctypes.c_char_p(b"{}"), ctypes.c_size_t(2)),
        *(ctypes.c_int(_FLAGS), ctypes.c_int(_COPY)),
        *(ctypes.c_int(_HEADERS), headers),
        ctypes.c_int(_END),
    )
    kafka.rd_kafka_flush(producer, 10_000)
    kafka.rd_kafka_destroy(producer)
