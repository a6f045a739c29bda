"""A server with a classifier of ``tests.support.images``, so that its answers are right."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from client_autoencoder.encoders.runtime import Encoder
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.kafka.settings import KafkaSettings
from tests.support.images import CLASSES, draw_images
from tests.support.server import NOW, RunningServer, run_server, train_and_store


@contextmanager
def run_taught_server(
    kafka: KafkaSettings, encoder: Path, directory: Path
) -> Iterator[RunningServer]:
    """Run a server that knows the encoder of a directory, and the images that are drawn."""
    loaded = Encoder.load(encoder)
    known = draw_images(600)
    latents = loaded.encode(known.images)
    targets = np.array([CLASSES.index(str(label)) for label in known.labels])
    with run_server(kafka, directory) as server:
        with writing(server.engine) as connection:
            add_encoder(connection, loaded.manifest, now=NOW)
        train_and_store(server.engine, loaded.encoder_id, CLASSES, latents, targets)
        yield server
