"""The server's services, put together: each runs in a process of its own until told to stop."""

import secrets
import time
from datetime import UTC, datetime
from threading import Event

import structlog
from sqlalchemy import Engine

from server_classifier.admission import Admission
from server_classifier.inference import ClassifierShelf, Inference
from server_classifier.ingest import Ingester
from server_classifier.settings import ServerSettings
from server_classifier.store.database import ensure_current, open_database
from server_classifier.store.errors import StoreUnavailable
from stream.connection import backoff, read_cluster_id, wait_for_cluster
from stream.consumer import RecordConsumer
from stream.producer import Publisher
from stream.responder import Responder
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics

_INGEST_BATCH = 2000
_INFER_BATCH = 256


def run_ingest(kafka: KafkaSettings, settings: ServerSettings, stop: Event) -> None:
    """Store learning messages until ``stop`` is set."""
    log = structlog.get_logger().bind(service="ingest")
    engine = prepare_database(settings, stop)
    cluster_id = _join_cluster(kafka, stop)
    if engine is None or cluster_id is None:
        return
    topics = Topics(kafka.prefix)
    ingester = Ingester(
        engine,
        Admission(engine, settings.labels),
        Responder(Publisher(kafka), topics, clock=time.time, random=secrets.token_bytes),
        cluster_id=cluster_id,
        now=lambda: datetime.now(UTC),
    )
    consumer = RecordConsumer(
        kafka,
        topic=topics.learning.name,
        group=f"{kafka.prefix}.ingest",
        instance=settings.instance,
        batch_size=_INGEST_BATCH,
    )
    log.info("ready", database=engine.url.render_as_string(hide_password=True))
    consumer.run(ingester.handle, stop)


def run_infer(kafka: KafkaSettings, settings: ServerSettings, stop: Event) -> None:
    """Answer service messages until ``stop`` is set, with or without a trainer beside it."""
    log = structlog.get_logger().bind(service="infer")
    engine = prepare_database(settings, stop)
    cluster_id = _join_cluster(kafka, stop)
    if engine is None or cluster_id is None:
        return
    topics = Topics(kafka.prefix)
    responder = Responder(Publisher(kafka), topics, clock=time.time, random=secrets.token_bytes)
    shelf = ClassifierShelf(engine, time.monotonic)
    inference = Inference(
        Admission(engine, None),
        shelf,
        responder,
        cluster_id=cluster_id,
        clock=time.time,
    )
    consumer = RecordConsumer(
        kafka,
        topic=topics.service.name,
        group=f"{kafka.prefix}.infer",
        instance=settings.instance,
        batch_size=_INFER_BATCH,
    )
    log.info("ready", database=engine.url.render_as_string(hide_password=True))
    # Replies of several batches may be under way at once; only the offsets wait for them.
    consumer.run(
        inference.handle,
        stop,
        before_commit=responder.flush,
        when_idle=shelf.refresh_quietly,
    )


def prepare_database(settings: ServerSettings, stop: Event) -> Engine | None:
    """Open the database and bring its tables up to date, waiting while it is away.

    Returns None when ``stop`` was set first.
    """
    engine = open_database(settings.database_url)
    for delay in backoff():
        try:
            ensure_current(engine)
            return engine
        except StoreUnavailable as error:
            structlog.get_logger().error("waiting for the database", error=str(error))
        if stop.wait(delay):
            return None
    return None


def _join_cluster(kafka: KafkaSettings, stop: Event) -> str | None:
    log = structlog.get_logger()
    admin = wait_for_cluster(
        kafka, stop, lambda reason: log.error("waiting for Kafka", error=reason)
    )
    if admin is None:
        return None
    create_topics(kafka, Topics(kafka.prefix).shared())
    return read_cluster_id(admin)
