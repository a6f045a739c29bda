"""What the tests of the store put into it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from server_classifier.store.latents.latent_row import LatentRow
from tests.support.manifests import make_manifest

NOW = datetime(2026, 11, 21, 9, 30, 0, 125_000, tzinfo=UTC)


ENCODER = make_manifest()


def make_row(number: int, **changes: Any) -> LatentRow:
    """Return a latent of ``ENCODER``; ``number`` makes its messageID and offset."""
    row = LatentRow(
        message_id=str(UUID(int=number)),
        site="north",
        client_id="north-1",
        encoder_id=ENCODER.network_id,
        label="cat",
        dtype="int8",
        value=bytes(ENCODER.latent_dim),
        image_id=None,
        subject=None,
        aggregate_kind="record",
        aggregate_count=1,
        privacy=None,
        policy=None,
        sent_at=1_700_000_000_000,
        received_at=1_700_000_000_250,
        topic="ioa.learning",
        partition=0,
        kafka_offset=number,
    )
    return row._replace(**changes)


def make_clusters(
    rows: int, classes: int, latent_dim: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return latents [rows, latent_dim] around one centre for each class, and their classes."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(0, 2, (classes, latent_dim))
    targets = np.arange(rows, dtype=np.int64) % classes
    latents = centres[targets] + rng.normal(0, 0.5, (rows, latent_dim))
    return latents.astype(np.float32), targets


def make_labelled_rows(rows: int, *, first: int = 0, classes: int = 2) -> list[LatentRow]:
    """Return float32 latents that a classifier can tell apart, labelled ``class 0`` and so on."""
    latents, targets = make_clusters(rows, classes, ENCODER.latent_dim, seed=first)
    return [
        make_row(first + i, label=f"class {target}", dtype="float32", value=latent.tobytes())
        for i, (latent, target) in enumerate(zip(latents, targets, strict=True))
    ]
