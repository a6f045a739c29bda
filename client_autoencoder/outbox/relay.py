"""Carrying letters from the outbox to the server, and what is answered back to the outbox.

For each letter the order is fixed: on the disk; sent; taken by a broker; answered; off the disk. A
process killed between any two sends the same bytes again or reads the answer again when it is next
started; the server stores a message id once and answers it as often as it comes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from client_autoencoder.errors import OutboxFull
from client_autoencoder.outbox.entries import Outcome, Settled
from client_autoencoder.outbox.outbox import Outbox
from schemas.messages.answers import Acknowledgement, Answer, Refusal, Reply
from stream.errors import DeliveryFailed, KafkaRefused, KafkaUnavailable
from stream.exchange.outgoing_record import OutgoingRecord
from stream.exchange.reply_client import ReplyClient

Note = Callable[[list[Settled]], None]
"""Called with the letters that have just left the outbox."""

# More letters than this are never without an answer, so that a slow server slows its clients.
_MOST_OPEN = 5000
_MOST_AT_ONCE = 1000
_LARGEST_UNDER_WAY = 32 * 2**20  # bytes in memory, whatever waits on the disk
LOOK_SECONDS = 0.1
_CONNECT_SECONDS = 0.5
# Between two attempts to connect or to find what has waited too long: encoding goes on meanwhile.
_PAUSE_SECONDS = 1.0
# The broker's clock, by which answers are found again, may be behind ours.
_CLOCK_MARGIN = 60.0


@dataclass
class OutboxRelay:
    """Works for one client, while its process has anything to send or to wait for.

    Args:
        clock: seconds that never go back, for pauses.
        note: told of everything that leaves the outbox.
    """

    outbox: Outbox
    reply_client: ReplyClient
    clock: Callable[[], float]
    note: Note = lambda _: None

    def __post_init__(self) -> None:
        self._sizes: dict[str, int] = {}  # of the letters under way to a broker
        self._under_way = 0  # their sum
        self._sent_up_to = 0
        self._connected = False
        self._delivered: list[str] = []
        self._outcomes: list[Outcome] = []
        self._look_around_at = self._connect_at = self.clock()

    def connect(self, timeout: float) -> None:
        """Connect, and read what was answered since the waiting letters were sent.

        Raises:
            StreamError: see ``ReplyClient.connect``.
            OutboxError: the letters are for another cluster.
        """
        first_sent = self.outbox.find_first_sent()
        cluster_id = self.reply_client.connect(
            timeout, since=first_sent and first_sent - _CLOCK_MARGIN
        )
        if cluster_id is not None:
            self.outbox.bind(cluster_id)
        self._connected = True

    def put(
        self, letters: Sequence[OutgoingRecord], names: Sequence[str], *, timeout: float
    ) -> None:
        """Queue letters, and send them where none waits before them.

        A full outbox or disk is waited for while there is any progress.

        Raises:
            OutboxFull: nothing has moved for ``timeout`` seconds.
        """
        quiet_since = self.clock()
        while True:
            are_next = self._sent_up_to == self.outbox.last_number
            try:
                self.outbox.put(letters, names)
                break
            except OutboxFull:
                if self.work_on_full_disk(LOOK_SECONDS):
                    quiet_since = self.clock()
                elif self.clock() - quiet_since >= timeout:
                    raise
        if are_next and self._connected and len(letters) <= self._room and self._bytes_left > 0:
            self._send(letters)
            self._sent_up_to = self.outbox.last_number

    def work_on_full_disk(self, timeout: float) -> bool:
        """Do one round as ``work``; what a full disk does not take is written down later."""
        try:
            return self.work(timeout)
        except OutboxFull:
            return False

    def drain(self, *, timeout: float) -> bool:
        """Work until nothing waits; False if nothing has moved for ``timeout`` seconds."""
        self.expire()
        quiet_since = self.clock()
        while self.outbox.counts.waiting:
            if self.work(LOOK_SECONDS):
                quiet_since = self.clock()
            elif self.clock() - quiet_since >= timeout:
                return False
        return True

    def work(self, timeout: float) -> bool:
        """Do one round; tell whether a letter was delivered for the first time or answered.

        Args:
            timeout: seconds to wait for an answer.

        Raises:
            DeliveryFailed: a broker will not take a letter however often it is sent.
            StreamError: the broker refuses us, or this client is not registered.
            OutboxError: the file cannot be written.
        """
        look_around = self.clock() >= self._look_around_at
        if look_around:
            self._look_around_at = self.clock() + _PAUSE_SECONDS
            self.expire()
        if self._is_connected():
            self._send_what_waits(overdue=look_around)
        arrivals = self.reply_client.look(timeout)
        for message_id in (*arrivals.delivered, *arrivals.undelivered):
            self._under_way -= self._sizes.pop(message_id, 0)
        if arrivals.undelivered:
            self._sent_up_to = 0
        self._delivered += arrivals.delivered
        self._outcomes += map(_read_outcome, arrivals.answers)
        moved = self._write_down()
        if arrivals.failure is not None:
            raise DeliveryFailed(
                f"{arrivals.failure}. Nothing is lost: {self.outbox.counts.waiting} messages wait "
                f"in {self.outbox.path}; `ioa client outbox drain` sends them once that is mended"
            )
        return moved

    def expire(self, overdue: Iterable[str] = ()) -> None:
        """Let these letters go and all whose deadline has passed."""
        self._tell(self.outbox.expire(overdue))

    def _is_connected(self) -> bool:
        if self._connected:
            return True
        if self.clock() < self._connect_at:
            return False
        try:
            self.connect(_CONNECT_SECONDS)
        except KafkaRefused:
            raise
        except KafkaUnavailable:
            self._connect_at = self.clock() + _PAUSE_SECONDS
        return self._connected

    def _send_what_waits(self, *, overdue: bool) -> None:
        if overdue and (left := self._bytes_left) > 0:
            self._send(one.letter for one in self.outbox.take_overdue(_MOST_AT_ONCE, left))
        if self._sent_up_to == self.outbox.last_number:
            return
        room = min(self._room, _MOST_AT_ONCE)
        if room > 0 and (left := self._bytes_left) > 0:
            queued = self.outbox.take_queued(self._sent_up_to, room, left)
            self._send(one.letter for one in queued)
            self._sent_up_to = queued[-1].number if queued else self.outbox.last_number

    @property
    def _room(self) -> int:
        """How many more letters may be without an answer."""
        return _MOST_OPEN - self.outbox.counts.delivered - len(self._sizes)

    @property
    def _bytes_left(self) -> int:
        """How many more bytes may be under way to a broker."""
        return _LARGEST_UNDER_WAY - self._under_way

    def _send(self, waiting: Iterable[OutgoingRecord]) -> None:
        letters = [letter for letter in waiting if letter.message_id not in self._sizes]
        sizes = {letter.message_id: letter.size for letter in letters}
        self._sizes |= sizes
        self._under_way += sum(sizes.values())
        self.reply_client.send(letters)

    def _write_down(self) -> bool:
        noted = self.outbox.note(self._delivered, self._outcomes)
        self._delivered, self._outcomes = [], []
        self._tell(noted.settled)
        return bool(noted.delivered or noted.settled)

    def _tell(self, settled: list[Settled]) -> None:
        if settled:
            self.note(settled)


def _read_outcome(answer: Answer) -> Outcome:
    message_id = answer.in_reply_to or ""
    if isinstance(answer, Refusal):
        reason = f"{answer.field}: {answer.error}" if answer.field else str(answer.error)
        return Outcome(message_id, "refused", reason)
    if isinstance(answer, Acknowledgement):
        return Outcome(message_id, "acknowledged")
    return Outcome(message_id, "answered", reply=answer if isinstance(answer, Reply) else None)
