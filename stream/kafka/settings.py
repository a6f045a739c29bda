"""Where Kafka is and how to reach it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class KafkaSettings(BaseModel):
    """The connection to a cluster; ``extra`` goes to librdkafka as it is.

    Raises:
        pydantic.ValidationError: a value is outside its bounds, or a name unknown.

    Example:
        >>> from stream import KafkaSettings
        >>> KafkaSettings(bootstrap_servers="kafka.example.org:9093").client_config()["client.id"]
        'ioa'
    """

    model_config = ConfigDict(extra="forbid")

    bootstrap_servers: str = "127.0.0.1:9092"
    prefix: str = Field("ioa", pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    partitions: int | None = Field(
        None, ge=1, description="of new topics of exchanges; by default as many as the table says"
    )
    replication_factor: int = Field(-1, description="of new topics; -1 is the broker's default")
    min_insync_replicas: int | None = Field(
        None, ge=1, description="of new topics, 2 where three brokers shall lose nothing"
    )
    extra: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _refuse_too_few_copies(self) -> Self:
        if 0 < self.replication_factor < (self.min_insync_replicas or 0):
            raise ValueError(
                f"min_insync_replicas is {self.min_insync_replicas} and replication_factor "
                f"{self.replication_factor}: no write would ever have enough copies; name at most "
                f"{self.replication_factor}"
            )
        return self

    def client_config(self) -> dict[str, Any]:
        """Return the configuration that all our librdkafka clients share.

        A broker that comes back is found within half a second, and an added partition within ten.
        """
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": self.prefix,
            "reconnect.backoff.max.ms": 500,
            # Consumers notice added partitions, and topics that are gone, when they ask for
            # metadata again. The default is 5 minutes.
            "topic.metadata.refresh.interval.ms": 10_000,
            # A producer, or a question about one topic, would make it on brokers that permit that.
            "allow.auto.create.topics": False,
            "log_level": 0,
            **self.extra,
        }

    def consumer_config(self) -> dict[str, Any]:
        """Return the configuration that all our consumers share.

        A broker checks the sum of a batch when it arrives, not when it reads it from its disk.
        """
        return {"check.crcs": True, **self.client_config()}
