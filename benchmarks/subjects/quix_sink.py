"""Quix Streams with its own PostgreSQL sink, checkpoints of 5,000 records: at least once."""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from quixstreams import Application
from quixstreams.sinks.community.postgresql import PostgreSQLSink

from benchmarks.subjects.plain_row import make_row, read_message


def main() -> None:
    address = urlsplit(os.environ["IOA_SERVER__DATABASE_URL"])
    app = Application(
        os.environ["IOA_KAFKA__BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        commit_every=5000,
        commit_interval=0.5,
        consumer_extra_config={"fetch.queue.backoff.ms": 2},
        loglevel="ERROR",
    )
    topic = app.topic(
        f"{os.environ['IOA_KAFKA__PREFIX']}.learning",
        value_deserializer="bytes",
        key_deserializer="bytes",
    )
    sink = PostgreSQLSink(
        host=parse_qs(address.query)["host"][0],
        port=5432,
        dbname=address.path.lstrip("/"),
        user=address.username or "",
        password="",
        table_name="latent",
        schema_auto_update=False,
        on_conflict_do_nothing=True,
        include_metadata=False,
    )

    def to_row(raw: bytes, _key: object, received_at: int, _headers: object) -> dict[str, Any]:
        # A sink's function does not get partition and offset.
        return make_row(read_message(raw), topic.name, 0, 0, received_at)

    app.dataframe(topic).apply(to_row, metadata=True).sink(sink)
    app.run()


if __name__ == "__main__":
    main()
