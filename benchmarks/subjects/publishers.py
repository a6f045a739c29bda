"""Other encoders and a publisher by hand, for ``benchmarks/encode_publish.py``."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import get_args

import fastavro
import numpy as np
import torch
from confluent_kafka import KafkaError, Message, Producer
from numpy.typing import NDArray

from client_autoencoder.encoders.edge import Edge
from client_autoencoder.encoders.runtime import BATCH, Encoder
from client_autoencoder.images.batches import ImageBatch
from schemas.vector import PackedDtype, Packing
from schemas.wire.registry import load_schema
from stream.artefacts.encoder_files import EncoderFiles
from stream.exchange.exchanges import LEARNING
from stream.exchange.message_ids import make_message_id
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.networks.packing import PACKERS

Latents = NDArray[np.float32]
Pixels = NDArray[np.float32]


class EncodedBefore(Encoder):
    """Returns latents [N, *shape] that were encoded before, whatever the N images are."""

    def __init__(self, files: EncoderFiles, latents: Latents) -> None:
        super().__init__(files)
        self._latents = latents

    def encode(self, images: Pixels) -> Latents:
        return self._latents[: len(images)]


class TorchEncoder(Encoder):
    """Encodes in PyTorch, in batches as large as ours."""

    def __init__(self, files: EncoderFiles, model: Edge) -> None:
        super().__init__(files)
        self._model = model

    def encode(self, images: Pixels) -> Latents:
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(images), BATCH)
            latents: Latents = torch.cat([self._model(batch) for batch in batches]).numpy()
        return latents


def publish_by_hand(
    kafka: KafkaSettings,
    client: str,
    encoder: Encoder,
    dtype: Packing,
    batches: Sequence[ImageBatch],
) -> None:
    """Encode and pack images, write Avro, produce with acks=all, and wait for the deliveries."""
    schema = load_schema("latent.v2" if dtype in get_args(PackedDtype) else "latent.v1")
    output = encoder.manifest.output
    start = b"\xc3\x01" + schema.fingerprint
    topic = Topics(kafka.prefix).of(LEARNING).name
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    lost: list[KafkaError] = []
    report = make_report(lost)
    same = {
        "clientID": client,
        "mode": "learning",
        "encoderID": encoder.encoder_id,
        "dtype": dtype,
        "shape": output.shape,
        "imageID": None,
        "subject": None,
        "aggregate": {"kind": "record", "count": 1},
        "privacy": make_privacy(),
        "policy": None,
    }
    for batch in batches:
        values = PACKERS[dtype].pack(encoder.encode(batch.images), output)
        now = datetime.now(UTC)
        for value, label in zip(values, batch.labels, strict=True):
            message_id = make_message_id(int(now.timestamp() * 1000), secrets.token_bytes(10))
            own = {
                "messageID": message_id,
                "label": label,
                "timestamp": now,
                "value": value,
            }
            out = BytesIO()
            out.write(start)
            fastavro.schemaless_writer(out, schema.parsed, same | own)
            key = message_id.encode()
            producer.produce(
                topic,
                out.getvalue(),
                key,
                on_delivery=report,
                headers=[
                    ("ioa-kind", b"learning"),
                    ("ioa-client", client.encode()),
                    ("ioa-message-id", key),
                    ("ioa-correlation-id", key),
                    ("content-type", b"avro/binary"),
                ],
            )
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not lost, f"not delivered: {lost[:1]}"


def make_report(lost: list[KafkaError]) -> Callable[[KafkaError | None, Message], None]:
    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            lost.append(error)

    return report


def make_privacy() -> dict[str, object]:
    names = ("epsilon", "delta", "unit", "adjacency", "ledgerSequence", "ledgerHead")
    return {"mechanism": "none", "guarantee": False, "parameters": {}} | dict.fromkeys(names)
