"""How much memory a process takes; kept apart from tests, whose imports take much themselves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil

from stream.exchange.replies import ReplyReader
from stream.exchange.topics import Topics
from stream.kafka.connection import connect_admin
from stream.kafka.offsets import read_ranges
from stream.kafka.range_reader import read_batches
from stream.kafka.settings import KafkaSettings

_SECONDS = 5.0


class Memory:
    """The most memory that a process has, in MB, while it is watched."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = Event()
        self.most = self._measure()

    def _measure(self) -> float:
        return float(self._process.memory_info().rss / 1e6)

    @contextmanager
    def watching(self) -> Iterator[None]:
        def watch() -> None:
            while not self._stop.wait(0.005):
                self.most = max(self.most, self._measure())

        thread = Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def read_most_mb() -> float:
    """Return the most memory that this process has had; ``getrusage`` also counts its parent's."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def read_topic(kafka: KafkaSettings, topic: str) -> float:
    """Read a topic as replays, archives and dead-letter commands do; return the MB it took."""
    ranges = read_ranges(connect_admin(kafka), topic)
    records = sum(map(len, read_batches(kafka, ranges, when_deleted="error")))
    assert records == sum(held.high - held.low for held in ranges)
    return read_most_mb()


def read_replies(kafka: KafkaSettings, topic: str) -> float:
    """Read a reply topic as a client does; return the MB it took."""
    reader = ReplyReader(kafka, topic.rpartition(".")[2], Topics(kafka.prefix))
    reader.open(30.0, since=0.0)
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert reader.read(0.1) == []
    reader.close()
    return read_most_mb()
