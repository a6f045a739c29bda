"""The client as a library: what a notebook, a service or the command line of a site calls."""

import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from client_autoencoder.connection import OnNotice, find_outboxes, open_relay
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientClosed, ClientError, InputError
from client_autoencoder.exchanges.answers import Answers, put_in_order
from client_autoencoder.exchanges.draining import DrainReport, drain
from client_autoencoder.exchanges.learning import LearningReport, check_labels, publish
from client_autoencoder.exchanges.local_exit import LocalExit, Threshold
from client_autoencoder.exchanges.messages import MessageMaker, Progress, show_nothing
from client_autoencoder.exchanges.service import ServiceReport, ask
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import (
    ImageBatch,
    ImageSource,
    Skipped,
    join_batches,
    read_batches,
)
from client_autoencoder.images.given import check_given_labels, check_images, cut_batches
from client_autoencoder.images.sets import draw
from client_autoencoder.images.sources import open_source
from client_autoencoder.outbox.relay import OutboxRelay
from client_autoencoder.privacy.mechanism import Mechanism, NoMechanism
from client_autoencoder.settings import ClientSettings
from schemas.errors import SchemaError
from schemas.messages.validation import check_name
from schemas.vector import Packing
from schemas.wire import avro_form, json_form
from stream.exchange.exchanges import LEARNING, SERVICE, Exchange
from stream.kafka.settings import KafkaSettings

_FORMS = {"avro": avro_form.CONTENT_TYPE, "json": json_form.CONTENT_TYPE}


def _warn(notice: str) -> None:
    warnings.warn(notice, stacklevel=2)


@dataclass(kw_only=True, eq=False)
class Client:
    """One client of a site: encodes images, sends the latents, and waits for the answers.

    What it sends is on the disk first, and stays there until the server has answered: after a
    crash, or with the broker away, the next ``publish`` or ``drain`` sends it. Nothing is opened
    before it is needed. For one thread; further ones and processes need a client id of their own.

    Args:
        client_id: as the operator registered it: ``ioa client add radiology-1 --site st-mary``.
        encoder: the directory that ``ioa encoder train`` wrote; without it there is only ``drain``.
        bootstrap_servers: addresses of the broker, ``host:port`` with commas between.
        prefix: of the topics.
        extra: librdkafka's own settings, such as ``{"security.protocol": "SSL"}``.
        mechanism: changes latents before they are sent; without one the images can be restored
            from them by whoever has the encoder.
        form: how messages are written; ``json`` is the form of the paper.
        dtype: of latents without noise: one of the packings that the encoder's manifest allows.
        timeout_seconds: how long to wait without an answer.
        outbox: the directory of what waits, in a file ``CLIENT_ID.db``.
        outbox_mib: the most that may wait, in MiB.
        outbox_days: the longest that a message may wait.
        resend_seconds: after which a message without an answer is sent again.
        on_notice: told what a person should know although the work goes on, such as a broker that
            is away; a warning by default.
        clock: seconds since the Unix epoch, for timestamps and deadlines.
        random: returns that many random bytes, for the ids of messages and images.

    Raises:
        InputError: an option is outside its bounds.
        StreamError: the encoder's files are missing or damaged.
        ClientError: ONNX Runtime cannot load it.

    Source: Salehinejad, Valaee, Dowdell & Barfett, "Deep Learning from Distributed Images on a
    Privacy Preserving Internet of Autoencoders", section III.

    Example:
        >>> from client_autoencoder import Client
        >>> with Client(
        ...     encoder="encoder/", client_id="radiology-1", bootstrap_servers="127.0.0.1:9092"
        ... ) as client:
        ...     report = client.publish(images, labels)
        ...     answers = client.ask(images)
        >>> report.acknowledged == len(images)
        True
        >>> answers.labels[:3]
        ['bar', 'ring', 'square']
        >>> answers.model_version
        'v1-...'
    """

    client_id: str
    encoder: Path | str | None = None
    bootstrap_servers: str = "127.0.0.1:9092"
    prefix: str = "ioa"
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    mechanism: Mechanism | None = None
    form: Literal["avro", "json"] = "avro"
    dtype: Packing = "int8"
    timeout_seconds: float = 60.0
    outbox: Path | str = "ioa-outbox"
    outbox_mib: int = 1024
    outbox_days: float = 7.0
    resend_seconds: float = 30.0
    on_notice: OnNotice = field(default=_warn, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)
    random: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)

    def __post_init__(self) -> None:
        self._settings, self._kafka = self._check_options()
        encoder = self._settings.encoder
        self._maker = None if encoder is None else self._make_maker(Encoder.load(encoder))
        self._relays: dict[Exchange[Any], tuple[OutboxRelay, ExitStack]] = {}
        self._closed = False
        self._thread = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker and let others have the outboxes; what waits stays there."""
        self._refuse_other_thread()
        self._closed = True
        for exchange in list(self._relays):
            self._disconnect(exchange)

    def publish(
        self,
        images: ArrayLike,
        labels: Sequence[str],
        *,
        augment: int = 0,
        seed: int | None = None,
        answers: bool = True,
        on_progress: Progress = show_nothing,
    ) -> LearningReport:
        """Send labelled images to be learned from, and wait until the server has stored them.

        All are checked before the first leaves. The same images published again are new messages,
        which the server stores again.

        Args:
            images: [N, H, W] or [N, 1, H, W] of the encoder's size, uint8 or float in 0..1.
            labels: [N].
            augment: changed copies of each image to send with it.
            seed: of the copies; without it from the system's generator.
            answers: whether to wait for the server's. Without them a message is done when a broker
                has taken it: this client needs no right to read, and sees no refusal.
            on_progress: called with the numbers of messages that were sent and answered so far.

        Raises:
            InputError: images or labels cannot be used; nothing was sent.
            ClientClosed: this client was closed.
            OutboxError: the outbox is in use, full, or cannot be written; what it took is safe.
            StreamError: the broker refuses us or a message, or does not know this client.
        """
        maker = self._require_maker()
        array = check_images(images, maker.encoder.manifest.images)
        batches = cut_batches(array, check_given_labels(labels, len(array)))
        changed = self._augment(batches, augment, seed)
        return self._publish(maker, changed, [], on_progress, answers=answers)

    def publish_source(
        self,
        data: Path | str,
        *,
        split: str | None = None,
        label: str | None = None,
        limit: int | None = None,
        augment: int = 0,
        seed: int | None = None,
        answers: bool = True,
        on_progress: Progress = show_nothing,
    ) -> LearningReport:
        """Send the labelled images of a source, as ``publish``, resized to what the encoder takes.

        An image that cannot be read is skipped: ``report.skipped`` says why.

        Args:
            data: an NPZ or IDX file, a folder with one folder per class, a PNG or JPEG file, or the
                word ``digits``.
            split: of a divided source, as ``test``.
            label: of images that are in no class folder.
            limit: the most images; fewer hold all classes in their shares.

        Raises:
            ClientError: the source is missing or not understood, or an image has no label.

        The other arguments and errors are those of ``publish``.
        """
        maker = self._require_maker()
        source = open_source(str(data), split=split, label=label)
        order = _choose(source, limit)
        check_labels(source, order)
        skipped: list[Skipped] = []
        batches = read_batches(source, skipped, wanted=maker.encoder.manifest.images, order=order)
        changed = self._augment(batches, augment, seed)
        return self._publish(maker, changed, skipped, on_progress, answers=answers)

    def ask(
        self,
        images: ArrayLike,
        *,
        exit_above: Threshold | None = None,
        in_flight: int = 16,
        on_progress: Progress = show_nothing,
    ) -> Answers:
        """Ask the server what images show, and wait for the answers.

        A question that nobody answers within ``timeout_seconds`` expires; when nobody answers at
        all, no further ones are asked.

        Args:
            images: as in ``publish``.
            exit_above: probability above which the encoder's local exit answers at home; ``auto``
                for the one that was chosen when it was trained. Default: the server answers all.
            in_flight: the most questions without an answer at a time.
            on_progress: called with the numbers of questions that were sent and answered so far.

        Raises:
            InputError: the images cannot be used; nothing was sent.
            ClientError: the mechanism's noise would make every answer useless.

        The other errors are those of ``publish``.
        """
        maker = self._require_maker()
        array = check_images(images, maker.encoder.manifest.images)
        batches = cut_batches(array, [None] * len(array))
        report = self._ask(maker, batches, [], exit_above, in_flight, on_progress)
        return put_in_order(report, len(array), self.timeout_seconds)

    def ask_source(
        self,
        data: Path | str,
        *,
        split: str | None = None,
        limit: int | None = None,
        exit_above: Threshold | None = None,
        in_flight: int = 16,
        on_progress: Progress = show_nothing,
    ) -> ServiceReport:
        """Ask about the images of a source, each named; see ``publish_source`` and ``ask``."""
        maker = self._require_maker()
        source = open_source(str(data), split=split)
        skipped: list[Skipped] = []
        order = _choose(source, limit)
        batches = read_batches(source, skipped, wanted=maker.encoder.manifest.images, order=order)
        return self._ask(maker, batches, skipped, exit_above, in_flight, on_progress)

    def drain(self, *, on_progress: Progress = show_nothing) -> DrainReport:
        """Send what waits in the outboxes and wait for the answers; encode nothing new.

        Raises:
            ClientClosed: this client was closed.
            OutboxError: an outbox is in use or cannot be written.
            StreamError: the broker refuses us or a message, or does not know this client.
        """
        report = DrainReport()
        for exchange in find_outboxes(self._settings):
            with self._connect(exchange) as relay:
                drain(relay, timeout=self.timeout_seconds, on_progress=on_progress, report=report)
        return report

    def _publish(
        self,
        maker: MessageMaker,
        batches: Iterable[ImageBatch],
        skipped: list[Skipped],
        on_progress: Progress,
        *,
        answers: bool,
    ) -> LearningReport:
        with self._connect(LEARNING, answers=answers) as relay:
            report = publish(
                join_batches(batches),
                maker,
                relay,
                skipped=skipped,
                timeout=self.timeout_seconds,
                on_progress=on_progress,
            )
        report.skipped = skipped
        return report

    def _ask(
        self,
        maker: MessageMaker,
        batches: Iterable[ImageBatch],
        skipped: list[Skipped],
        exit_above: Threshold | None,
        in_flight: int,
        on_progress: Progress,
    ) -> ServiceReport:
        if in_flight < 1:
            raise InputError(f"in_flight is {in_flight}, it must be 1 or more")
        local_exit = None if exit_above is None else LocalExit(maker.encoder, exit_above)
        with self._connect(SERVICE) as relay:
            report = ask(
                batches,
                maker,
                relay,
                timeout=self.timeout_seconds,
                in_flight=in_flight,
                on_progress=on_progress,
                local_exit=local_exit,
            )
        report.skipped = skipped
        return report

    def _augment(
        self, batches: Iterable[ImageBatch], copies: int, seed: int | None
    ) -> Iterable[ImageBatch]:
        if copies < 0 or (seed or 0) < 0:
            raise InputError(f"augment is {copies} and seed {seed}: neither may be below 0")
        if not copies:
            if seed is not None:
                raise InputError("a seed belongs to augmented copies: name how many (augment)")
            return batches
        rng = np.random.default_rng(seed)
        return augment_batches(batches, copies, rng, lambda: self.random(16).hex())

    @contextmanager
    def _connect(self, exchange: Exchange[Any], *, answers: bool = True) -> Iterator[OutboxRelay]:
        """Yield the relay of an exchange, which stays open until an error or ``close``.

        After an error, or an interrupt, the next call starts again from what is on the disk.
        """
        self._refuse_closed()
        self._refuse_other_thread()
        if exchange in self._relays and self._reads_answers(exchange) != answers:
            self._disconnect(exchange)
        if exchange not in self._relays:
            self._relays[exchange] = self._open(exchange, answers=answers)
            self._thread = get_ident()
        try:
            yield self._relays[exchange][0]
        except BaseException:
            self._disconnect(exchange)
            raise

    def _reads_answers(self, exchange: Exchange[Any]) -> bool:
        relay, _ = self._relays[exchange]
        return relay.reply_client.reads_answers

    def _open(self, exchange: Exchange[Any], *, answers: bool) -> tuple[OutboxRelay, ExitStack]:
        with ExitStack() as opened:
            relay = open_relay(
                self._settings,
                self._kafka,
                exchange,
                clock=self.clock,
                on_notice=self.on_notice,
                answers=answers,
            )
            return opened.enter_context(relay), opened.pop_all()

    def _disconnect(self, exchange: Exchange[Any]) -> None:
        _, opened = self._relays.pop(exchange)
        opened.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClientClosed(f"client {self.client_id} is closed: make a new Client")

    def _refuse_other_thread(self) -> None:
        if self._relays and self._thread != get_ident():
            raise ClientError(
                f"client {self.client_id} belongs to the thread that used it first; each thread "
                "needs a client id of its own"
            )

    def _require_maker(self) -> MessageMaker:
        self._refuse_closed()
        if self._maker is None:
            raise ClientError("this client has no encoder: name its directory, Client(encoder=...)")
        return self._maker

    def _make_maker(self, encoder: Encoder) -> MessageMaker:
        return MessageMaker(
            client_id=self.client_id,
            encoder=encoder,
            mechanism=NoMechanism() if self.mechanism is None else self.mechanism,
            form=_FORMS[self.form],
            now=lambda: datetime.fromtimestamp(self.clock(), UTC),
            random=self.random,
            dtype=self.dtype,
        )

    def _check_options(self) -> tuple[ClientSettings, KafkaSettings]:
        """Return the settings of which this client's options are a part, under the same names."""
        try:
            client = ClientSettings.model_validate(self._select(ClientSettings))
            kafka = KafkaSettings.model_validate(self._select(KafkaSettings))
            check_name("clientID", client.client_id)
        except SchemaError as error:
            raise InputError(str(error)) from error
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in error.errors())
            raise InputError("; ".join(faults)) from error
        return client, kafka

    def _select(self, section: type[ClientSettings | KafkaSettings]) -> dict[str, object]:
        options = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: options[name] for name in section.model_fields.keys() & options.keys()}


def _choose(source: ImageSource, limit: int | None) -> list[int]:
    return draw(source, limit, np.random.default_rng(0))
