"""Sends the records of an outbox to the server, and stores the answers in the outbox.

For each record the order is fixed: it is stored on the disk, sent, taken by a broker, answered, and
removed from the disk. A process that is killed between two steps sends the same bytes again, or
reads the answer again, when it is next started. The server stores a message id once, and answers it
as often as it comes.

A relay whose client reads no answers removes a record as soon as a broker has taken it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from client_autoencoder.errors import OutboxFull
from client_autoencoder.outbox.entries import Outcome, Settled
from client_autoencoder.outbox.outbox import Outbox
from stream.errors import DeliveryFailed, KafkaRefused, KafkaUnavailable
from stream.exchange.exchanges import AnswerMessage, type_answers
from stream.exchange.outgoing_record import OutgoingRecord
from stream.exchange.reply_client import ReplyClient

OnSettled = Callable[[list[Settled]], None]
"""Called with the records that have just left the outbox."""

POLL_SECONDS = 0.1

# A slow server slows its clients: no more records than this are without an answer.
_MAX_UNANSWERED = 5000
_MAX_READ = 1000
_MAX_BYTES_IN_FLIGHT = 32 * 2**20  # in memory, however much waits on the disk
_CONNECT_SECONDS = 0.5
# Between two attempts to connect, or to find what is overdue: encoding goes on meanwhile.
_PAUSE_SECONDS = 1.0
# The broker's clock, by which answers are found again, may be behind ours.
_CLOCK_MARGIN = 60.0


@dataclass
class OutboxRelay:
    """Works for one client, while its process has anything to send or to wait for.

    Args:
        clock: seconds that never go back, for pauses.
        on_settled: called with everything that leaves the outbox.
    """

    outbox: Outbox
    reply_client: ReplyClient
    clock: Callable[[], float]
    on_settled: OnSettled = lambda _: None

    def __post_init__(self) -> None:
        self._kinds = type_answers(self.reply_client.topics.exchanges)
        self._in_flight: dict[str, int] = {}  # message id -> bytes on the way to a broker
        self._bytes_in_flight = 0
        self._last_sent = 0  # the number up to which queued records have been sent
        self._connected = False
        self._delivered: list[str] = []
        self._outcomes: list[Outcome] = []
        self._next_check = self._next_connect = self.clock()

    def connect(self, timeout: float) -> None:
        """Connect, and read the answers since the waiting records were sent.

        Raises:
            StreamError: see ``ReplyClient.connect``.
            OutboxError: the records are for another cluster.
        """
        first_sent = self.outbox.find_first_sent()
        cluster_id = self.reply_client.connect(
            timeout, since=first_sent and first_sent - _CLOCK_MARGIN
        )
        if cluster_id is not None:
            self.outbox.bind(cluster_id)
        self._connected = True

    def put(
        self, records: Sequence[OutgoingRecord], names: Sequence[str], *, timeout: float
    ) -> None:
        """Queue records, and send them at once where no other record waits before them.

        A full outbox or disk is waited for while there is any progress.

        Raises:
            OutboxFull: there was no progress for ``timeout`` seconds.
        """
        quiet_since = self.clock()
        while True:
            are_next = self._last_sent == self.outbox.last_number
            try:
                self.outbox.put(records, names)
                break
            except OutboxFull:
                if self.poll_despite_full_disk(POLL_SECONDS):
                    quiet_since = self.clock()
                elif self.clock() - quiet_since >= timeout:
                    raise
        if are_next and self._connected and len(records) <= self._room and self._bytes_left > 0:
            self._send(records)
            self._last_sent = self.outbox.last_number

    def poll_despite_full_disk(self, timeout: float) -> bool:
        """Do one round as ``poll``; what a full disk does not take is stored in a later round."""
        try:
            return self.poll(timeout)
        except OutboxFull:
            return False

    def drain(self, *, timeout: float) -> bool:
        """Poll until nothing waits; False if there was no progress for ``timeout`` seconds."""
        self.expire()
        quiet_since = self.clock()
        while self.outbox.counts.waiting:
            if self.poll(POLL_SECONDS):
                quiet_since = self.clock()
            elif self.clock() - quiet_since >= timeout:
                return False
        return True

    def poll(self, timeout: float) -> bool:
        """Send what waits, and store deliveries and answers.

        Args:
            timeout: seconds to wait for an answer.

        Returns:
            Whether a record was delivered for the first time or settled.

        Raises:
            DeliveryFailed: a broker will not take a record, however often it is sent.
            StreamError: the broker refuses us, or this client is not registered.
            OutboxError: the file cannot be written.
        """
        check = self.clock() >= self._next_check
        if check:
            self._next_check = self.clock() + _PAUSE_SECONDS
            self.expire()
        if self._try_connect():
            self._send_waiting(overdue=check)
        arrivals = self.reply_client.poll(timeout)
        for message_id in (*arrivals.delivered, *arrivals.undelivered):
            self._bytes_in_flight -= self._in_flight.pop(message_id, 0)
        if arrivals.undelivered:
            self._last_sent = 0
        if self.reply_client.reads_answers:
            self._delivered += arrivals.delivered
        else:
            self._outcomes += (Outcome(message_id, "sent") for message_id in arrivals.delivered)
        self._outcomes += map(self._to_outcome, arrivals.answers)
        progress = self._store()
        if arrivals.failure is not None:
            raise DeliveryFailed(
                f"{arrivals.failure}. Nothing is lost: {self.outbox.counts.waiting} messages wait "
                f"in {self.outbox.path}; `ioa outbox drain` sends them once that is mended"
            )
        return progress

    def expire(self, message_ids: Iterable[str] = ()) -> None:
        """Expire these records and all whose deadline has passed."""
        self._report(self.outbox.expire(message_ids))

    def _try_connect(self) -> bool:
        if self._connected:
            return True
        if self.clock() < self._next_connect:
            return False
        try:
            self.connect(_CONNECT_SECONDS)
        except KafkaRefused:
            raise
        except KafkaUnavailable:
            self._next_connect = self.clock() + _PAUSE_SECONDS
        return self._connected

    def _send_waiting(self, *, overdue: bool) -> None:
        if overdue and self._bytes_left > 0:
            due = self.outbox.read_overdue(_MAX_READ, self._bytes_left)
            self._send(entry.record for entry in due)
        if self._last_sent == self.outbox.last_number:
            return
        room = min(self._room, _MAX_READ)
        if room > 0 and self._bytes_left > 0:
            queued = self.outbox.read_queued(self._last_sent, room, self._bytes_left)
            self._send(entry.record for entry in queued)
            self._last_sent = queued[-1].number if queued else self.outbox.last_number

    @property
    def _room(self) -> int:
        """How many more records may be without an answer."""
        return _MAX_UNANSWERED - self.outbox.counts.delivered - len(self._in_flight)

    @property
    def _bytes_left(self) -> int:
        """How many more bytes may be on the way to a broker."""
        return _MAX_BYTES_IN_FLIGHT - self._bytes_in_flight

    def _send(self, waiting: Iterable[OutgoingRecord]) -> None:
        records = [record for record in waiting if record.message_id not in self._in_flight]
        sizes = {record.message_id: record.size for record in records}
        self._in_flight |= sizes
        self._bytes_in_flight += sum(sizes.values())
        self.reply_client.send(records)

    def _store(self) -> bool:
        update = self.outbox.update(self._delivered, self._outcomes)
        self._delivered, self._outcomes = [], []
        self._report(update.settled)
        return bool(update.delivered or update.settled)

    def _report(self, settled: list[Settled]) -> None:
        if settled:
            self.on_settled(settled)

    def _to_outcome(self, answer: AnswerMessage) -> Outcome:
        kind = self._kinds[type(answer)]
        reason = kind.describe(answer)
        return Outcome(answer.in_reply_to or "", kind.ending, reason, answer, by=kind.name)
