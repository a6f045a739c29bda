"""One-shot learning from latents, as the product does it: messages made, received and learned from.

What is between sites and server, Kafka and the database, is left out: nothing there changes a
number, and other benchmarks measure what it costs.
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

from client_autoencoder.augmentation import augment_batches
from client_autoencoder.autoencoder import AutoencoderConfig
from client_autoencoder.encoder import Encoder
from client_autoencoder.encoder_files import write_encoder
from client_autoencoder.image_sets import digest
from client_autoencoder.images import ImageBatch
from client_autoencoder.privacy.mechanism import NoPrivatizer
from client_autoencoder.sending import MessageMaker
from client_autoencoder.training import TrainingOptions, train
from ioa.local.controls import find_hits, released_latents
from ioa.local.parts import CLIENT_IDS, Parts
from schemas import avro_form
from schemas.manifest import TrainingData
from schemas.messages import Acknowledgement, LatentMessage
from schemas.quantiser import dequantise
from stream.artefacts import MANIFEST, ONNX
from stream.codec import encode
from stream.letter import Letter, make_letter
from stream.producer import make_headers
from stream.topics import Topics

LATENT_DIM = 64
_TOPICS = Topics("ioa")
_FORM = avro_form.CONTENT_TYPE


@dataclass(frozen=True)
class SharedEncoder:
    """An encoder that every client has fetched.

    Attributes:
        download: bytes of what a client needs of it, for one client.
        seconds: that its training took.
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


def learn_once(parts: Parts, shared: SharedEncoder, copies: int, seed: int) -> dict[str, float]:
    """Encode the clients' images, make their messages, train on what they hold, and test."""
    began = time.perf_counter()
    learned: list[NDArray[np.float32]] = []
    labels: list[str] = []
    up, down = 0, len(parts.clients) * shared.download
    for client_id, images in zip(CLIENT_IDS, parts.clients, strict=True):
        messages = list(_make_messages(client_id, images, shared.encoder, copies, seed))
        up += sum(_measure(make_letter(message, _FORM, _TOPICS)) for message in messages)
        down += sum(map(_measure_acknowledgement, messages))
        learned.append(_receive(messages, shared.encoder))
        labels += [message.label for message in messages]
    asked = released_latents(shared.encoder, parts.unseen.images)
    hits = find_hits((np.concatenate(learned), labels), (asked, parts.unseen.labels), seed)
    return {
        "accuracy": float(hits.mean()),
        "up_mb": up / 1e6,
        "down_mb": down / 1e6,
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
        privatizer=NoPrivatizer(),
        form=_FORM,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
    )
    rng = np.random.default_rng(seed)
    batches = augment_batches([images], copies, rng, lambda: secrets.token_hex(16))
    for batch in batches if copies else [images]:
        yield from maker.make(batch, "learning")


def _receive(messages: Sequence[LatentMessage], encoder: Encoder) -> NDArray[np.float32]:
    quantiser = encoder.manifest.quantiser
    codes = np.stack([message.value.to_numpy() for message in messages])
    return dequantise(codes, quantiser.low, quantiser.high)


def _measure(letter: Letter) -> int:
    """Return the bytes of value, key and headers."""
    return len(letter.value) + len(letter.key) + _measure_headers(letter.headers)


def _measure_headers(headers: Sequence[tuple[str, bytes | None]]) -> int:
    return sum(len(name) + len(text or b"") for name, text in headers)


def _measure_acknowledgement(message: LatentMessage) -> int:
    """Return the bytes of what the server answers."""
    message_id = message.message_id or ""
    answer = Acknowledgement(
        message.client_id, message.label, message.timestamp, message_id, message_id
    )
    headers = make_headers(
        KIND="acknowledgement",
        CLIENT=message.client_id,
        CONTENT_TYPE=_FORM,
        MESSAGE_ID=message_id,
        CORRELATION_ID=message_id,
    )
    return len(message_id) + len(encode(answer, _FORM)) + _measure_headers(headers)
