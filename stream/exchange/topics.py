"""Every topic of a deployment: those of the exchanges, and those beside them."""

from collections.abc import Sequence
from typing import Any

from stream.exchange.exchanges import EXCHANGES, MESSAGE_LIMIT, Exchange
from stream.kafka.topics import Topic

_MIB = 2**20
_HOUR = 3_600_000
_REPLY_HOURS = 6
_DEAD_LETTER_HOURS = 4 * 7 * 24
_COMPACT = {"cleanup.policy": "compact"}


class Topics:
    """The topics under one prefix; ``topics.of(LEARNING).name`` is ``ioa.learning``.

    Args:
        partitions: of the topics of requests; without it each has as many as its row says.
        exchanges: the rows of the table that this deployment uses.
    """

    def __init__(
        self,
        prefix: str,
        partitions: int | None = None,
        *,
        exchanges: Sequence[Exchange[Any]] = EXCHANGES,
    ) -> None:
        self.prefix = prefix
        self.exchanges = exchanges
        self._requests = {exchange.name: self._make(exchange, partitions) for exchange in exchanges}
        self.encoders = self._topic(
            "encoders", "encoderID", "operator", "compacted", _COMPACT, limit=64 * _MIB
        )
        self.classifiers = self._topic(
            "classifiers", "encoderID", "trainer", "compacted", _COMPACT, limit=16 * _MIB
        )
        # A dead letter is a whole record of any other topic and the reason.
        self.dead_letters = self._topic(
            "dead-letters",
            "original key",
            "any consumer",
            "4 weeks",
            _keep(_DEAD_LETTER_HOURS),
            limit=65 * _MIB,
        )

    def of(self, exchange: Exchange[Any]) -> Topic:
        """Return the topic of the requests of one of the exchanges."""
        return self._requests[exchange.name]

    def replies(self, client_id: str) -> Topic:
        """Return the reply topic that one client alone reads."""
        return self._topic(
            f"replies.{client_id}",
            "messageID",
            "server",
            f"{_REPLY_HOURS} hours",
            _keep(_REPLY_HOURS),
        )

    def shared(self) -> list[Topic]:
        """Return all topics but the reply topics."""
        return [*self._requests.values(), self.encoders, self.classifiers, self.dead_letters]

    def _make(self, exchange: Exchange[Any], partitions: int | None) -> Topic:
        hours = exchange.retention_hours
        return self._topic(
            exchange.name,
            exchange.key,
            "clients",
            "for ever" if hours is None else f"{hours} hours",
            _keep(hours),
            partitions=partitions or exchange.partitions,
            limit=exchange.limit,
        )

    def _topic(
        self,
        suffix: str,
        key: str,
        written_by: str,
        kept: str,
        cleanup: dict[str, str],
        *,
        partitions: int = 1,
        limit: int = MESSAGE_LIMIT,
    ) -> Topic:
        config = cleanup | {
            "max.message.bytes": str(limit),
            # Retention and replay by time never go by a client's clock.
            "message.timestamp.type": "LogAppendTime",
        }
        return Topic(f"{self.prefix}.{suffix}", key, written_by, kept, partitions, config)


def _keep(hours: int | None) -> dict[str, str]:
    milliseconds = -1 if hours is None else hours * _HOUR
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds)}
