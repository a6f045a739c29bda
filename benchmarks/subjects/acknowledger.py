"""A cheap server that acknowledges learning messages at once and stores none.

Run by ``benchmarks/encode_publish.py``, which sets the environment variables.
"""

import os
import secrets
from datetime import UTC, datetime

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.messages.message import Acknowledgement
from schemas.wire.avro_form import encode_avro
from stream.exchange.message_ids import make_message_id

_AT_ONCE = 2000


def main() -> None:
    prefix, client = os.environ["IOA_KAFKA__PREFIX"], os.environ["BENCH_CLIENT"]
    servers = {"bootstrap.servers": os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"]}
    consumer = Consumer({**servers, "group.id": "acknowledger", "fetch.queue.backoff.ms": 2})
    consumer.assign([TopicPartition(f"{prefix}.learning", partition, 0) for partition in range(4)])
    producer = Producer({**servers, "linger.ms": 5})
    open_reply, open_id = make_id(), make_id()
    whole = Acknowledgement(client, "0", datetime.now(UTC), open_reply, open_id)
    template = encode_avro(whole).replace(open_id.encode(), make_id().encode())
    while True:
        if (first := consumer.poll(0.1)) is None:
            continue
        for message in [first, *consumer.consume(_AT_ONCE, 0)]:
            reply = message.key() or b""
            producer.produce(
                f"{prefix}.replies.{client}",
                template.replace(open_reply.encode(), reply),
                reply,
                headers=[("ioa-kind", b"acknowledgement"), ("content-type", b"avro/binary")],
            )
        producer.poll(0)


def make_id() -> str:
    return make_message_id(int(datetime.now(UTC).timestamp() * 1000), secrets.token_bytes(10))


if __name__ == "__main__":
    main()
