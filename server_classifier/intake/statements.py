"""What a sender says of its latent, held against the encoder's manifest and known mechanisms.

Nothing that a message says of itself widens a limit here: noise counts as far as a known mechanism
makes it, of latents that the encoder makes.
"""

import math

import numpy as np

from schemas.errors import SchemaError
from schemas.messages.latent import LABELLED, Aggregate, LatentMessage, Privacy
from schemas.messages.mechanisms import Reach, measure_reach
from schemas.messages.validation import LEAST_QUERY_EPSILON
from schemas.vector import Vector
from server_classifier.store.registry.entries import EncoderRow
from stream.networks.packing import check_packing, unpack

MOST_AVERAGED = 10_000
"""Images in one mean. More images are better sent as several means."""
# One latent far outside the encoder's range spoils the standardisation of all. Noise may move
# latents further out; it then does so to all of them.
_MOST_RANGES = 4.0
_MOST_RANGES_NOISED = 1000.0
_UNSTATED = Privacy("none")
_ONE_RECORD = Aggregate()


def check_statements(message: LatentMessage, encoder: EncoderRow) -> None:
    """Check the vector, its aggregate and its noise.

    Raises:
        SchemaError: they contradict the manifest, the mechanism, or each other.
    """
    aggregate, privacy = message.aggregate or _ONE_RECORD, message.privacy or _UNSTATED
    _check_form(message.value, encoder)
    _check_aggregate(aggregate)
    reach = measure_reach(privacy, aggregate.count)
    if message.value.dtype == "float32":
        _check_magnitude(message.value, encoder, reach)
    if not LABELLED[message.mode]:
        _check_question(privacy)


def _check_form(vector: Vector, encoder: EncoderRow) -> None:
    length = math.prod(vector.shape)
    if length != encoder.latent_dim:
        raise SchemaError(
            f"has {length} numbers, and encoder {encoder.encoder_id[:12]} makes "
            f"{encoder.latent_dim}; was it made by another encoder?",
            "value",
        )
    output = encoder.manifest.output
    if len(output.shape) > 1 and vector.shape not in (output.shape, (length,)):
        raise SchemaError(
            f"{list(vector.shape)} are not the maps of encoder {encoder.encoder_id[:12]}, which "
            f"are {list(output.shape)}",
            "shape",
        )
    check_packing(vector.dtype, output)
    if vector.dtype == "jpeg":
        unpack([vector.data], vector.dtype, output)  # what cannot be decoded is refused now


def _check_aggregate(aggregate: Aggregate) -> None:
    if aggregate.kind not in ("record", "mean"):
        raise SchemaError(
            f"{aggregate.kind} is not supported yet; send records or means", "aggregate.kind"
        )
    if aggregate.count > MOST_AVERAGED:
        raise SchemaError(
            f"{aggregate.count:,} images in one vector, {MOST_AVERAGED:,} are permitted; "
            "send several means",
            "aggregate.count",
        )


def _check_magnitude(vector: Vector, encoder: EncoderRow, reach: Reach | None) -> None:
    output = encoder.manifest.output
    limit = _find_limit(max(abs(output.low), abs(output.high)), encoder.latent_dim, reach)
    sizes = np.abs(vector.to_numpy().reshape(-1))
    if sizes.max() > limit:
        raise SchemaError(
            f"is of size {sizes.max():.3g}, and the encoder's latents lie between "
            f"{output.low:.3g} and {output.high:.3g}; up to {limit:.3g} is permitted, with "
            "noise as it is stated",
            f"value[{int(sizes.argmax())}]",
        )


def _find_limit(largest: float, numbers: int, reach: Reach | None) -> float:
    """Return the largest size of a number, for an encoder whose own are up to ``largest``."""
    limit = _MOST_RANGES * largest
    # Of a longer latent, which the encoder does not make, nothing needs to be hidden.
    if reach is None or reach.norm > limit * math.sqrt(numbers):
        return limit
    return max(limit, min(reach.norm + reach.noise, _MOST_RANGES_NOISED * largest))


def _check_question(privacy: Privacy) -> None:
    if privacy.epsilon is not None and privacy.epsilon <= LEAST_QUERY_EPSILON:
        raise SchemaError(
            f"{privacy.epsilon:g} makes a question useless (its answer is little better than "
            "chance); learn with noise, and ask without",
            "privacy.epsilon",
        )
