"""Which rows of the table have a vector from which a classifier can learn."""

from sqlalchemy import ColumnElement, and_, func, or_

from schemas.models.network_manifest import NetworkManifest
from schemas.vector import count_bytes
from server_classifier.store.tables import latent


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
