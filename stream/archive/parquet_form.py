"""Records as rows of Parquet, byte for byte, and back."""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import pyarrow as pa

from stream.kafka.record import Record

_HEADER = pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])
SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(_HEADER), nullable=False),
        pa.field("headers_damaged", pa.bool_(), nullable=False),
    ]
)
OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["topic", "headers.list.element.name"],
}
"""How pyarrow writes files of ``SCHEMA``."""


def to_table(records: Sequence[Record]) -> pa.Table:
    """Return records as rows of ``SCHEMA``."""
    headers = [record.headers for record in records]
    pairs = list(chain.from_iterable(headers))
    ends = list(accumulate(map(len, headers), initial=0))
    struct = pa.StructArray.from_arrays(
        [
            pa.array([name for name, _ in pairs], pa.string()),
            pa.array([value for _, value in pairs], pa.binary()),
        ],
        fields=list(_HEADER),
    )
    columns = [
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp for record in records],
        [record.key for record in records],
        [record.value for record in records],
        pa.ListArray.from_arrays(pa.array(ends, pa.int32()), struct),
        [record.headers_damaged for record in records],
    ]
    return pa.table(columns, schema=SCHEMA)


def to_records(rows: pa.RecordBatch) -> list[Record]:
    """Return rows of ``SCHEMA`` as the records that they were."""
    headers = rows["headers"]
    pairs = list(zip(*map(_to_list, headers.flatten().flatten()), strict=True))
    ends = accumulate(_to_list(headers.value_lengths()), initial=0)
    columns = [
        _to_list(rows["topic"]),
        _to_list(rows["partition"]),
        _to_list(rows["offset"]),
        _to_list(rows["timestamp"].cast(pa.int64())),
        _to_list(rows["key"]),
        _to_list(rows["value"]),
        [pairs[start:end] for start, end in pairwise(ends)],
        _to_list(rows["headers_damaged"]),
    ]
    return list(map(Record, *columns))


def _to_list(column: pa.Array) -> list[Any]:
    # By way of numpy: to_pylist makes a scalar of each value first, at five times the cost.
    values: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return values
