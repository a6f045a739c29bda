"""Latents for the tests of studies, as arrays and in a database."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Engine

from server_classifier.heads.settings import TrainingSettings
from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.datasets.catalogue import create_dataset
from server_classifier.store.datasets.latents import DatasetLatents
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.entries import add_encoder
from tests.server_classifier.stored import ENCODER, NOW, make_clusters, make_labelled_rows

QUICK = TrainingSettings(hidden=(8,), epochs=2, min_steps=10)
QUICK_TOML = "hidden = [8]\nepochs = 2\nmin_steps = 10\n"


def make_latents(
    rows: int = 120, *, sites: Sequence[str] = ("east", "north", "west"), copies: int = 3
) -> DatasetLatents:
    """Return latents of three classes, each site's in turn, in groups of ``copies``."""
    images = np.arange(rows) // copies
    values, _ = make_clusters(rows, classes=3, latent_dim=4)
    return DatasetLatents(
        values=values,
        targets=np.arange(rows, dtype=np.int64) % 3,
        labels=("cat", "dog", "fox"),
        site_of=(images % len(sites)).astype(np.int64),
        sites=tuple(sites),
        groups=images.astype(np.int64),
        received_at=np.arange(rows, dtype=np.int64),
        digest="d" * 64,
        encoder_id="e" * 64,
    )


def fill_database(url: str, rows: Sequence[LatentRow] | None = None, name: str = "all") -> Engine:
    """Store latents, by default 90 of three sites and classes, and list them as a dataset."""
    engine = open_database(url)
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, ENCODER, now=NOW)
        insert_latents(connection, rows or make_site_rows(90))
    create_dataset(engine, name, Selection(), now=NOW)
    return engine


def make_site_rows(count: int, sites: Sequence[str] = ("east", "north", "west")) -> list[LatentRow]:
    """Return latents of three classes; three in a row are of one image, and of one site."""
    rows = make_labelled_rows(count, classes=3)
    return [
        row._replace(site=sites[number // 3 % len(sites)], image_id=f"image {number // 3}")
        for number, row in enumerate(rows)
    ]
