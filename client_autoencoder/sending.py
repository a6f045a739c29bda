"""Images to messages: encode and privatize; and questions to replies.

The way of one batch: images [N, 1, H, W] -> encoder -> latents [N, D] -> privatizer -> vectors ->
messages. ``publishing`` sends those to be learned from.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoder import Encoder
from client_autoencoder.errors import ClientError
from client_autoencoder.images import ImageBatch
from client_autoencoder.privacy.mechanism import Privatizer
from schemas.messages import Aggregate, LatentMessage, Mode, Reply
from schemas.validation import LEAST_QUERY_EPSILON
from schemas.vector import Vector
from stream.exchange import Answered, Exchange
from stream.identity import make_message_id


@dataclass(frozen=True)
class MessageMaker:
    """Makes a client's messages.

    Attributes:
        form: content type, JSON or Avro.
        now: the client's clock, UTC.
        random: returns that many random bytes, for message ids.
        dtype: what latents travel as that are not noised; noised ones are always float32.
    """

    client_id: str
    encoder: Encoder
    privatizer: Privatizer
    form: str
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    dtype: Literal["int8", "float32"] = "int8"

    def make(self, batch: ImageBatch, mode: Mode) -> Iterator[LatentMessage]:
        """Yield one message per image of the batch; see ``check_labels``, too.

        Raises:
            ClientError: noise would cover one release of an image, and there are copies of it.
        """
        self._refuse_noised_copies(batch)
        values = self._to_wire(self.encoder.encode(batch.images))
        image_ids: Sequence[str | None] = batch.image_ids or [None] * len(batch)
        for row, label, image_id in zip(values, batch.labels, image_ids, strict=True):
            moment = self.now()
            yield LatentMessage(
                client_id=self.client_id,
                label=(label or "") if mode == "learning" else "",
                value=Vector.from_numpy(row),
                mode=mode,
                timestamp=moment.replace(microsecond=0),
                message_id=make_message_id(int(moment.timestamp() * 1000), self.random(10)),
                encoder_id=self.encoder.manifest.encoder_id,
                image_id=image_id,
                aggregate=Aggregate(),
                privacy=self.privatizer.privacy,
            )

    def _to_wire(self, latents: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.int8]:
        """Privatize, then quantise what is still within the encoder's range."""
        released = self.privatizer.privatize(latents)
        if self._adds_noise or self.dtype == "float32":
            return released
        return self.encoder.quantise(released)

    def _refuse_noised_copies(self, batch: ImageBatch) -> None:
        if self._adds_noise and batch.distinct < len(batch):
            raise ClientError(
                f"{len(batch)} releases of {batch.distinct} images: the privatizer's epsilon holds "
                "for one release of an image, each augmented copy is one more, and nothing "
                "accounts for that yet. Send without copies, or without a privatizer"
            )

    @property
    def _adds_noise(self) -> bool:
        return self.privatizer.privacy.mechanism != "none"


@dataclass
class Prediction:
    """The reply about one image; label and ``probabilities`` are empty where ``error`` says why."""

    name: str
    true_label: str | None
    label: str
    probability: float | None
    probabilities: dict[str, float]
    model_version: str | None
    error: str | None
    seconds: float


@dataclass
class ServiceReport:
    """What became of service messages, in the order in which the replies came."""

    sent: int = 0
    predictions: list[Prediction] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def answered(self) -> list[Prediction]:
        """The predictions that carry a label."""
        return [prediction for prediction in self.predictions if prediction.error is None]


Progress = Callable[[int, int], None]
"""Called with how many messages were sent and answered so far."""


def ask(
    batches: Iterable[ImageBatch],
    maker: MessageMaker,
    exchange: Exchange,
    *,
    timeout: float,
    in_flight: int,
    on_progress: Progress,
) -> ServiceReport:
    """Send images to be classified and wait for the replies.

    Args:
        timeout: seconds without any reply after which waiting ends; also each request's deadline.
        in_flight: requests that may be without a reply at a time.

    Raises:
        ClientError: the noise would make every answer useless.
        StreamError: the broker is away, refuses us, or a message is too large.
    """
    _refuse_useless_noise(maker.privatizer)
    report = ServiceReport()
    asked: dict[str, tuple[str, str | None]] = {}

    def note(answered: Answered) -> None:
        name, label = asked.pop(answered.answer.in_reply_to or "")
        if isinstance(answered.answer, Reply):
            report.predictions.append(_predict(answered, answered.answer, name, label))
        on_progress(report.sent, len(report.predictions))

    for message, name, label in _each(batches, maker):
        asked[message.message_id or ""] = (name, label)
        exchange.send(message, maker.form, deadline=maker.now().timestamp() + timeout)
        report.sent += 1
        if not _drain(exchange, note, down_to=in_flight - 1, timeout=timeout):
            break
    else:
        _drain(exchange, note, down_to=0, timeout=timeout)
    report.unanswered = [name for name, _ in asked.values()]
    return report


def _each(
    batches: Iterable[ImageBatch], maker: MessageMaker
) -> Iterator[tuple[LatentMessage, str, str | None]]:
    for batch in batches:
        yield from zip(maker.make(batch, "service"), batch.names, batch.labels, strict=True)


def _drain(
    exchange: Exchange, note: Callable[[Answered], None], *, down_to: int, timeout: float
) -> bool:
    """Take answers until at most ``down_to`` messages are open; False if none came in time."""
    quiet_since = exchange.clock()
    for answered in exchange.receive(0):
        note(answered)
    while len(exchange.open) > down_to and exchange.clock() - quiet_since < timeout:
        for answered in exchange.receive(0.1):
            note(answered)
            quiet_since = exchange.clock()
    return len(exchange.open) <= down_to


def _predict(answered: Answered, reply: Reply, name: str, true_label: str | None) -> Prediction:
    probabilities = reply.probabilities or {}
    return Prediction(
        name=name,
        true_label=true_label,
        label=reply.label,
        probability=probabilities.get(reply.label),
        probabilities=probabilities,
        model_version=reply.model_version,
        error=reply.error,
        seconds=answered.seconds,
    )


def _refuse_useless_noise(privatizer: Privatizer) -> None:
    epsilon = privatizer.privacy.epsilon
    if epsilon is not None and epsilon <= LEAST_QUERY_EPSILON:
        raise ClientError(
            f"a question with noise of epsilon {epsilon:g} gets answers little better than "
            "chance. Send noised images in learning mode only, and ask without a privatizer"
        )
