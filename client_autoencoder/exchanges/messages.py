"""Makes messages of images: encode, privatize, quantise.

images [N, 1, H, W] -> encoder -> latents [N, D] -> mechanism -> vectors -> messages, which
``learning`` and ``service`` send.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.privacy.mechanism import Mechanism
from schemas.messages.latent import LABELLED, Aggregate, LatentMessage, Mode
from schemas.vector import Packing, Vector
from stream.exchange.message_ids import make_message_id
from stream.networks.packing import pack


@dataclass(frozen=True)
class MessageMaker:
    """Makes a client's messages.

    Attributes:
        form: content type, JSON or Avro.
        now: the client's clock, UTC.
        random: returns that many random bytes, for message ids.
        dtype: the packing of values without noise; with noise they always travel as float32.
    """

    client_id: str
    encoder: Encoder
    mechanism: Mechanism
    form: str
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    dtype: Packing = "int8"

    def make(
        self, batch: ImageBatch, mode: Mode, values: NDArray[np.float32] | None = None
    ) -> Iterator[LatentMessage]:
        """Yield one message per image of the batch, all with the same timestamp.

        Args:
            values: what the encoder makes of the images, where the caller has it: [N, *shape].

        Raises:
            ClientError: the batch holds copies of an image, and the noise covers one release only.
        """
        self._refuse_noised_copies(batch)
        vectors = self.pack(self.encoder.encode(batch.images) if values is None else values)
        image_ids: Sequence[str | None] = batch.image_ids or [None] * len(batch)
        now, privacy, aggregate = self.now(), self.mechanism.privacy, Aggregate()
        milliseconds, timestamp = int(now.timestamp() * 1000), now.replace(microsecond=0)
        for vector, label, image_id in zip(vectors, batch.labels, image_ids, strict=True):
            yield LatentMessage(
                client_id=self.client_id,
                label=(label or "") if LABELLED[mode] else "",
                value=vector,
                mode=mode,
                timestamp=timestamp,
                message_id=make_message_id(milliseconds, self.random(10)),
                encoder_id=self.encoder.encoder_id,
                image_id=image_id,
                aggregate=aggregate,
                privacy=privacy,
            )

    def pack(self, values: NDArray[np.float32]) -> list[Vector]:
        """Privatize values [N, *shape], then pack them: in codes, unless noise left their range."""
        released = self.mechanism.apply(values).values
        dtype = "float32" if self._adds_noise else self.dtype
        return pack(released, dtype, self.encoder.manifest.output)

    def _refuse_noised_copies(self, batch: ImageBatch) -> None:
        if self._adds_noise and batch.distinct < len(batch):
            raise ClientError(
                f"{len(batch)} releases of {batch.distinct} images: the mechanism's epsilon holds "
                "for one release of an image, each augmented copy is one more, and nothing "
                "accounts for that yet. Send without copies, or without a mechanism"
            )

    @property
    def _adds_noise(self) -> bool:
        return self.mechanism.privacy.mechanism != "none"


Progress = Callable[[int, int], None]
"""Called with the numbers of messages that were sent and answered so far."""


def show_nothing(_sent: int, _done: int) -> None:
    """Show no progress."""
