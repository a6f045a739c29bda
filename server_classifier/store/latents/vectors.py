"""The vectors of stored latents: which rows can be learned from, and bytes to arrays."""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, func, or_

from schemas.models.network_manifest import NetworkManifest
from schemas.vector import count_bytes
from server_classifier.store.tables import latent
from stream.networks.packing import unpack


def learnable(manifest: NetworkManifest) -> ColumnElement[bool]:
    """Return the condition of rows with one vector from which a classifier can learn."""
    return and_(
        latent.c.encoder_id == manifest.network_id,
        latent.c.aggregate_kind != "sum",
        latent.c.label != "",  # of a question, which only a replay of the service topic stores
        or_(*(_is_whole(dtype, manifest) for dtype in manifest.output.packings)),
    )


def _is_whole(dtype: str, manifest: NetworkManifest) -> ColumnElement[bool]:
    if dtype == "jpeg":
        return latent.c.dtype == dtype
    length = func.length(latent.c.value)
    return and_(latent.c.dtype == dtype, length == count_bytes(dtype, manifest.latent_dim))


def decode(
    dtypes: Sequence[str], blobs: Sequence[bytes], manifest: NetworkManifest
) -> NDArray[np.float32]:
    """Return stored vectors as float32 [len(blobs), D]; codes are restored by the manifest."""
    values = np.empty((len(blobs), manifest.latent_dim), np.float32)
    for dtype in set(dtypes):
        rows = [stored == dtype for stored in dtypes]
        unpacked = unpack(list(compress(blobs, rows)), dtype, manifest.output)
        values[rows] = unpacked.reshape(-1, manifest.latent_dim)
    return values
