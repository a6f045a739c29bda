"""FastStream with ``batch=True`` and SQLAlchemy: at least once, with a unique key.

With ``BENCH_ACKNOWLEDGE`` it also acknowledges, with ``publish_batch`` after the commit.
"""

import asyncio
import os
from typing import Any

import sqlalchemy as sa
from confluent_kafka import Message
from faststream import Context, FastStream
from faststream.confluent import KafkaBroker
from sqlalchemy.dialects import postgresql, sqlite

from benchmarks.subjects.plain_row import make_row, read_message

_PREFIX = os.environ["IOA_KAFKA__PREFIX"]
_URL = os.environ["IOA_SERVER__DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
_ACKNOWLEDGE = bool(os.environ.get("BENCH_ACKNOWLEDGE"))

engine = sa.create_engine(_URL)
if engine.dialect.name == "sqlite":

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=FULL")


latent = sa.Table("latent", sa.MetaData(), autoload_with=engine)
dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
insert = dialect.insert(latent).on_conflict_do_nothing(index_elements=["message_id"])
broker = KafkaBroker(
    os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"],
    config={"fetch.queue.backoff.ms": 2, "isolation.level": "read_committed"},
    logger=None,
)
app = FastStream(broker, logger=None)


async def keep_bytes(message: Any) -> Any:
    return message.body  # else FastStream would parse JSON a second time


@broker.subscriber(
    f"{_PREFIX}.learning",
    group_id=os.environ["BENCH_GROUP"],
    batch=True,
    max_records=2000,
    polling_interval=0.1,
    auto_offset_reset="earliest",
    decoder=keep_bytes,
)
async def store(bodies: Any, message: Any = Context("message")) -> None:  # noqa: B008
    records: tuple[Message, ...] = message.raw_message
    messages = [read_message(record.value() or b"") for record in records]
    with engine.begin() as connection:
        connection.execute(
            insert,
            [
                make_row(
                    body,
                    record.topic(),
                    record.partition(),
                    record.offset(),
                    record.timestamp()[1],
                )
                for body, record in zip(messages, records, strict=True)
            ],
        )
    if _ACKNOWLEDGE:
        answers = [
            {
                "message": {
                    "clientID": body["clientID"],
                    "label": body["label"],
                    "timestamp": body["timestamp"].isoformat(),
                    "inReplyTo": body["messageID"],
                }
            }
            for body in messages
        ]
        await broker.publish_batch(*answers, topic=f"{_PREFIX}.replies.{messages[0]['clientID']}")


if __name__ == "__main__":
    asyncio.run(app.run())
