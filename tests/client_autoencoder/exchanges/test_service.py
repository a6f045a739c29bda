"""Asking where nobody answers and the time of day goes wrong."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.exchanges.service import ask
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.relay import OutboxRelay
from client_autoencoder.privacy.mechanism import NoMechanism
from schemas.wire import avro_form
from stream.exchange.reply_client import ReplyClient
from stream.kafka.settings import KafkaSettings
from tests.support.images import draw_images

CLIENT = "radiology-1"
NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def test_a_clock_set_back_does_not_keep_questions(encoder_directory: Path, tmp_path: Path) -> None:
    maker = MessageMaker(
        client_id=CLIENT,
        encoder=Encoder.load(encoder_directory),
        mechanism=NoMechanism(),
        form=avro_form.CONTENT_TYPE,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
    )
    tenths = (tick / 10 for tick in range(200))  # it ends, so that nothing waits for ever
    with (
        Outbox(tmp_path / "a.db", owner=CLIENT, limits=Limits(), clock=lambda: 0.0) as outbox,
        ReplyClient(NOBODY, CLIENT) as reply_client,
    ):
        report = ask(
            [draw_images(3, side=9)],
            maker,
            OutboxRelay(outbox, reply_client, tenths.__next__),
            timeout=1.0,
            in_flight=2,
            on_progress=lambda sent, done: None,
        )
    assert (report.sent, report.waiting, report.stopped) == (2, 0, True)
    assert report.expired == ["made[0]", "made[1]"]
