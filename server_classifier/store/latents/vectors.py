"""The vectors of stored latents: which rows can be learned from, and bytes to arrays."""

from collections.abc import Iterable, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, func, or_

from schemas.models.network_manifest import NetworkManifest
from schemas.quantiser import dequantise
from schemas.vector import DTYPES
from server_classifier.store.tables import latent


def learnable(manifest: NetworkManifest) -> ColumnElement[bool]:
    """Return the condition of rows with one vector from which a classifier can learn."""
    length = func.length(latent.c.value)
    return and_(
        latent.c.encoder_id == manifest.network_id,
        latent.c.aggregate_kind != "sum",
        latent.c.label != "",  # of a question, which only a replay of the service topic stores
        or_(
            and_(latent.c.dtype == "int8", length == manifest.latent_dim),
            and_(latent.c.dtype == "float32", length == 4 * manifest.latent_dim),
        ),
    )


def decode(
    dtypes: Sequence[str], blobs: Sequence[bytes], manifest: NetworkManifest
) -> NDArray[np.float32]:
    """Return stored vectors as float32 [len(blobs), D]; int8 is restored by the manifest."""
    kinds = set(dtypes)
    if len(kinds) == 1:
        return _decode_alike(kinds.pop(), blobs, manifest)
    values = np.empty((len(blobs), manifest.latent_dim), np.float32)
    for dtype in kinds:
        rows = [stored == dtype for stored in dtypes]
        values[rows] = _decode_alike(dtype, compress(blobs, rows), manifest)
    return values


def _decode_alike(
    dtype: str, blobs: Iterable[bytes], manifest: NetworkManifest
) -> NDArray[np.float32]:
    numbers = np.frombuffer(b"".join(blobs), DTYPES[dtype]).reshape(-1, manifest.latent_dim)
    if dtype == "int8":
        return dequantise(numbers, manifest.output.low, manifest.output.high)
    return numbers
