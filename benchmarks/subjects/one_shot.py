"""One-shot learning: encodes, sends and acknowledges as the product does, then trains once.

The database between broker and trainer is left out: it changes no result, and other benchmarks
measure its cost.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.wire import Wire
from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.images.sets import digest
from client_autoencoder.privacy.mechanism import NoMechanism
from ioa.research.lab.controls import find_hits
from ioa.research.lab.parts import Parts, name_clients
from schemas.messages.answers import Acknowledgement
from schemas.messages.latent import LatentMessage
from schemas.models.manifest_fields import TrainingData
from schemas.models.network_manifest import ONNX
from schemas.quantiser import dequantise
from schemas.wire import avro_form
from stream.artefacts.encoder_files import MANIFEST
from stream.exchange.exchanges import ACKNOWLEDGEMENT
from stream.exchange.forms import encode
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.topics import Topics
from stream.kafka.producer import make_headers

LATENT_DIM = 64
_FORM = avro_form.CONTENT_TYPE


@dataclass(frozen=True)
class SharedEncoder:
    """An encoder that every client has downloaded.

    Attributes:
        download: bytes that one client downloads.
        seconds: of its training.
    """

    encoder: Encoder
    download: int
    seconds: float


def train_encoder(public: ImageBatch, folder: Path, seed: int, epochs: int | None) -> SharedEncoder:
    """Train an encoder as ``ioa encoder train`` does."""
    began = time.perf_counter()
    _, _, height, width = public.images.shape
    trained = train(
        public.images,
        AutoencoderConfig(height, width, LATENT_DIM),
        TrainingOptions(epochs=epochs),
        torch.Generator().manual_seed(seed),
    )
    data = TrainingData("mnist", digest(public.images), len(public), "public")
    write_encoder(folder, trained, data)
    seconds = time.perf_counter() - began
    download = sum((folder / name).stat().st_size for name in (ONNX, MANIFEST))
    return SharedEncoder(Encoder.load(folder), download, seconds)


def learn_once(
    parts: Parts, shared: SharedEncoder, copies: int, seed: int, wire: Wire
) -> dict[str, float]:
    """Encode the clients' images, send the messages, train on their latents, and test."""
    began = time.perf_counter()
    client_ids = name_clients(len(parts.clients))
    topics = wire.make_topics(client_ids)
    messages = [
        message
        for client_id, images in zip(client_ids, parts.clients, strict=True)
        for message in _make_messages(client_id, images, shared.encoder, copies, seed)
    ]
    up = wire.send(topics, [make_record(message, _FORM, topics) for message in messages])
    answers = wire.send(topics, [_acknowledge(message, topics) for message in messages])
    learned = _receive(messages, shared.encoder), [message.label for message in messages]
    asked = released_latents(shared.encoder, parts.unseen.images), parts.unseen.labels
    hits = find_hits(learned, asked, seed)
    return {
        "accuracy": float(hits.mean()),
        "up_mb": up / 1e6,
        "down_mb": (answers + len(parts.clients) * shared.download) / 1e6,
        "rounds": 1,
        "seconds": time.perf_counter() - began,
        "encoder_seconds": shared.seconds,
    }


def _make_messages(
    client_id: str, images: ImageBatch, encoder: Encoder, copies: int, seed: int
) -> Iterator[LatentMessage]:
    maker = MessageMaker(
        client_id=client_id,
        encoder=encoder,
        mechanism=NoMechanism(),
        form=_FORM,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
    )
    rng = np.random.default_rng(seed)
    batches = augment_batches([images], copies, rng, lambda: secrets.token_hex(16))
    for batch in batches if copies else [images]:
        yield from maker.make(batch, "learning")


def _receive(messages: Sequence[LatentMessage], encoder: Encoder) -> NDArray[np.float32]:
    output = encoder.manifest.output
    codes = np.stack([message.value.to_numpy() for message in messages])
    return dequantise(codes, output.low, output.high)


def _acknowledge(message: LatentMessage, topics: Topics) -> OutgoingRecord:
    """Return the server's answer to a learning message."""
    message_id = message.message_id or ""
    own = make_message_id(int(time.time() * 1000), secrets.token_bytes(10))
    answer = Acknowledgement(message.client_id, message.label, message.timestamp, message_id, own)
    headers = make_headers(
        KIND=ACKNOWLEDGEMENT.name,
        CLIENT=message.client_id,
        CONTENT_TYPE=_FORM,
        MESSAGE_ID=own,
        CORRELATION_ID=message_id,
    )
    topic = topics.replies(message.client_id).name
    value = encode(answer, _FORM)
    return OutgoingRecord(own, ACKNOWLEDGEMENT.name, topic, message_id.encode(), headers, value)
