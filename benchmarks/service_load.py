"""Questions as our clients write them, and the labels of the classifier that answers."""

import secrets
import time
from datetime import UTC, datetime

import numpy as np

from benchmarks.learning_load import ASKER, SHAPES
from schemas.messages.latent import LatentMessage
from schemas.vector import Vector
from schemas.wire import avro_form
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import OutgoingRecord, make_record
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings

SHAPE = SHAPES["int8x64"]
LABELS = [f"class-{number}" for number in range(10)]
_DEADLINE_SECONDS = 3600.0


def make_question(
    kafka: KafkaSettings, encoder_id: str, rng: np.random.Generator
) -> OutgoingRecord:
    """Return a question about a random latent in Avro, with all our headers and a deadline."""
    now = time.time()
    message = LatentMessage(
        ASKER,
        "",
        Vector.from_numpy(rng.integers(-128, 128, SHAPE.latent_dim, np.int8)),
        "service",
        datetime.fromtimestamp(now, UTC).replace(microsecond=0),
        make_message_id(int(now * 1000), secrets.token_bytes(10)),
        encoder_id,
    )
    topics = Topics(kafka.prefix)
    return make_record(message, avro_form.CONTENT_TYPE, topics, deadline=now + _DEADLINE_SECONDS)


def make_questions(
    kafka: KafkaSettings, encoder_id: str, count: int, seed: int
) -> list[OutgoingRecord]:
    """Return questions that differ in latent and message id."""
    rng = np.random.default_rng(seed)
    return [make_question(kafka, encoder_id, rng) for _ in range(count)]
