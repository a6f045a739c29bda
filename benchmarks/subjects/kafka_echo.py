"""The floor of a round trip over Kafka: sends every question back unchanged.

It decodes nothing, waits for no delivery and commits no offset, so a crash loses answers. The
producer lingers for ``BENCH_LINGER_MS``.

Run by ``benchmarks/round_trip.py``, which sets the environment variables.
"""

import os
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition


def main() -> None:
    bootstrap = os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"]
    prefix = os.environ["IOA_KAFKA__PREFIX"]
    linger = int(os.environ["BENCH_LINGER_MS"])
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": linger})
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "echo",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.assign([TopicPartition(f"{prefix}.service", partition, 0) for partition in range(4)])
    while True:
        first = consumer.poll(0.1)
        messages = [] if first is None else [first, *consumer.consume(255, 0)]
        for message in messages:
            assert message.error() is None, message.error()
            headers: dict[str, Any] = dict(message.headers() or [])
            client = headers["ioa-client"] or b""
            producer.produce(
                f"{prefix}.replies.{client.decode()}",
                message.value(),
                message.key(),
                headers=message.headers(),
            )
        producer.poll(0)


if __name__ == "__main__":
    main()
