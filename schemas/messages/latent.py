"""The message from a client: one latent, to learn from or to be answered (paper, section III-D).

Messages are not frozen: a frozen dataclass triples the time to decode one, and ingestion decodes
every message. The parts that many messages share are frozen.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

import orjson

from schemas.messages.fields import TEXT_MAX, Field, FieldTable
from schemas.vector import Vector

Mode = Literal["learning", "service"]
AggregateKind = Literal["record", "mean", "sum", "moments"]

LABELLED: dict[Mode, bool] = {"learning": True, "service": False}
"""Whether a message of a mode carries a label: one is learned from, the other asks for it."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How many images the vector stands for: one record, or the mean or sum of ``count``."""

    kind: AggregateKind = "record"
    count: int = 1

    FIELDS: ClassVar[FieldTable] = FieldTable(
        Field("kind", "kind", str, required=True), Field("count", "count", int, required=True)
    )


@dataclass(frozen=True, slots=True)
class Privacy:
    """What the mechanism did to the vector, in the terms of differential privacy.

    ``guarantee`` is true only if ``epsilon`` and ``delta`` hold for ``unit`` under ``adjacency``.
    It is false for a mechanism used for research.
    """

    mechanism: str
    guarantee: bool = False
    parameters: dict[str, float] | None = None
    epsilon: float | None = None
    delta: float | None = None
    unit: str | None = None
    adjacency: str | None = None
    ledger_sequence: int | None = None
    ledger_head: str | None = None
    _json: str | None = field(default=None, init=False, repr=False, compare=False)

    FIELDS: ClassVar[FieldTable] = FieldTable(
        Field("mechanism", "mechanism", str, required=True, limit=TEXT_MAX),
        Field("guarantee", "guarantee", bool),
        Field("parameters", "parameters", dict, limit=128),
        Field("epsilon", "epsilon", float),
        Field("delta", "delta", float),
        Field("unit", "unit", str, limit=TEXT_MAX),
        Field("adjacency", "adjacency", str, limit=TEXT_MAX),
        Field("ledger_sequence", "ledgerSequence", int),
        Field("ledger_head", "ledgerHead", str, limit=TEXT_MAX),
    )

    def __hash__(self) -> int:
        return hash((self.mechanism, self.epsilon, self.delta))  # the parameters are a dict

    def to_json(self) -> str:
        """Return all fields as JSON, the form that the database keeps."""
        if self._json is None:
            object.__setattr__(self, "_json", orjson.dumps(self).decode())
        return self._json or ""


@dataclass(slots=True)
class LatentMessage:
    """One latent from a client: to learn from (labelled) or to be answered (unlabelled).

    ``message_id``, ``encoder_id`` and all below are None in a message in the form of the paper;
    ``timestamp`` is UTC, in whole seconds.

    Source: Salehinejad, Valaee, Dowdell & Barfett, "Deep Learning from Distributed Images on a
    Privacy Preserving Internet of Autoencoders", section III-D.

    Example:
        >>> from datetime import UTC, datetime
        >>> import numpy as np
        >>> from schemas import LatentMessage
        >>> from schemas.vector import Vector
        >>> (value,) = Vector.from_rows(np.zeros((1, 16), np.int8))
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> LatentMessage("radiology-1", "ring", value, "learning", now).value.shape
        (16,)
    """

    client_id: str
    label: str
    value: Vector
    mode: Mode
    timestamp: datetime
    message_id: str | None = None
    encoder_id: str | None = None
    image_id: str | None = None
    subject: str | None = None
    aggregate: Aggregate | None = None
    privacy: Privacy | None = None
    policy: str | None = None

    FIELDS: ClassVar[FieldTable] = FieldTable(
        Field("client_id", "clientID", str, required=True),
        Field("label", "label", str, required=True),
        Field("value", "value", list, required=True),
        Field("mode", "mode", str, required=True),
        Field("timestamp", "timestamp", str, required=True),
        Field("message_id", "messageID", str),
        Field("encoder_id", "encoderID", str),
        Field("value", "dtype", str),
        Field("value", "shape", list),
        Field("image_id", "imageID", str),
        Field("subject", "subject", str),
        Field("aggregate", "aggregate", dict),
        Field("privacy", "privacy", dict),
        Field("policy", "policy", str),
    )

    @property
    def kind(self) -> str:
        """The name of its exchange: its mode."""
        return self.mode
