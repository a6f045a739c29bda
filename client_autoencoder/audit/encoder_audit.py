"""An attack on what an encoder releases of images: as it is, as it travels, and with noise.

One half of the images is public to the attacker, the other half are the victims.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from client_autoencoder.audit.attack import Known, Target, Truth, Values
from client_autoencoder.audit.released_latents import travel
from client_autoencoder.audit.report import Row, audit
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.images.sets import stratified_order
from client_autoencoder.privacy.mechanism import Mechanism
from schemas.vector import Packing

UNPROTECTED = "float32"

_TRUTHS: dict[str, Callable[[ImageBatch, Values], Truth]] = {
    "reconstruction": lambda images, _: images.images,
    "label": lambda images, _: np.array(images.labels),
    "reidentification": lambda _, encodings: encodings,
}


def audit_encoder(
    encoder: Encoder,
    images: ImageBatch,
    attack: str,
    mechanism: Mechanism,
    *,
    packing: Packing = "int8",
    seeds: int = 1,
    options: TrainingOptions | None = None,
) -> list[Row]:
    """Return a row for each release: unprotected, in its packing, and of a mechanism with noise.

    Args:
        images: none that the encoder was trained on; with labels for the attack on labels.
        packing: how the values travel where no noise is added.
        seeds: how often the images are halved anew, and an attacker is trained.

    Raises:
        ClientError: the attack needs more than an encoder and images, or there are too few images.
        SchemaError: the encoder does not allow the packing.
    """
    if attack not in _TRUTHS:
        raise ClientError(f"an encoder is not audited by {attack!r}; choose {', '.join(_TRUTHS)}")
    encodings = encoder.encode(images.images)
    output, name = encoder.manifest.output, mechanism.privacy.mechanism
    released = {UNPROTECTED: encodings, packing: travel(encodings, packing, output)}
    if name != "none":
        released[name] = mechanism.apply(encodings).values
    truth = _TRUTHS[attack](images, encodings)
    return audit(attack, _halve(released, truth, images, seeds), options)


def _halve(
    released: Mapping[str, Values], truth: Truth, images: ImageBatch, seeds: int
) -> Iterator[Mapping[str, Target]]:
    for seed in range(seeds):
        order = stratified_order(images.labels, np.random.default_rng(seed))
        public, victims = np.array_split(order, 2)
        yield {
            title: Target(
                Known(values[public], truth[public]), Known(values[victims], truth[victims])
            )
            for title, values in released.items()
        }
