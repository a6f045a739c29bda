"""A client at full speed: one message after another that is dear to refuse, until it is killed.

Run by ``benchmarks/hostile_client.py``, which names the kind as the argument.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

from confluent_kafka import Producer

from benchmarks.learning_load import CLIENT, SHAPES
from stream.exchange.message_ids import make_message_id
from tests.support.manifests import make_manifest

_LATENT_DIM = SHAPES["int8x64"].latent_dim
_BLANKS = 10_000_000


def main() -> None:
    make = KINDS[sys.argv[1]]
    producer = Producer(
        {
            "bootstrap.servers": os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"],
            "compression.type": "zstd",
            "message.max.bytes": 2 * _BLANKS,
            "queue.buffering.max.kbytes": 100_000,
            "linger.ms": 5,
        }
    )
    topic = f"{os.environ['IOA_KAFKA__PREFIX']}.learning"
    for body in make():
        while True:
            with suppress(BufferError):
                producer.produce(topic, body)
                break
            producer.poll(0.1)
        producer.poll(0)


def make_large() -> Iterator[bytes]:
    """Yield good messages with 10 MB of blanks, which compress to nothing."""
    for number in count():
        yield write(f"class-{number % 10}").replace(b"{", b"{" + b" " * _BLANKS, 1)


def make_slow() -> Iterator[bytes]:
    """Yield messages with long labels that were not declared."""
    while True:
        yield write(secrets.token_hex(100)[:199])


def make_many_labels() -> Iterator[bytes]:
    """Yield good messages, each with a label of its own."""
    for number in count():
        yield write(f"label-{number}")


KINDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "large": make_large,
    "slow": make_slow,
    "labels": make_many_labels,
}


def write(label: str) -> bytes:
    """Return a learning message in JSON."""
    return _TEMPLATE % (make_id().encode(), label.encode())


def make_id() -> str:
    return make_message_id(int(time.time() * 1000), secrets.token_bytes(10))


_TEMPLATE = json.dumps(
    {
        "message": {
            "clientID": CLIENT,
            "messageID": "%s",
            "label": "%s",
            "value": [0] * _LATENT_DIM,
            "dtype": "int8",
            "mode": "learning",
            "timestamp": "2026-01-01 00:00:00",
            "encoderID": make_manifest(_LATENT_DIM).network_id,
        }
    }
).encode()


if __name__ == "__main__":
    main()
