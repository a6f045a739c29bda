"""A Kafka broker that belongs to this process: for the demo, for tests, for `--foreground`."""

import atexit
import logging
from pathlib import Path
from typing import Self

from stream.broker.class_path import Announce, verified_class_path
from stream.broker.errors import BrokerError
from stream.broker.jars import default_repository
from stream.broker.jvm import Jvm, find_java
from stream.broker.launch import ORDERLY_EXITS, RunningBroker, explain_death, launch, stop
from stream.broker.startup_cache import with_startup_cache

logger = logging.getLogger(__name__)


def prepare_jvm(
    announce: Announce = logger.info,
    repository: Path | None = None,
    cache_folder: Path | None = None,
) -> Jvm:
    """Return Java with the verified jars and the start-up cache; fetch and make what is missing.

    Args:
        announce: receives a sentence before something takes seconds.
        repository: where the jars lie; Maven's local repository by default.
        cache_folder: where the start-up cache lies; ``~/.cache/ioa`` by default.

    Raises:
        BrokerError: the extra is not installed, or a jar is missing or corrupt.
    """
    jvm = Jvm(find_java(), verified_class_path(repository or default_repository(), announce))
    return with_startup_cache(jvm, cache_folder or Path.home() / ".cache" / "ioa", announce)


class EmbeddedBroker:
    """Apache Kafka in a child process that ends with this one, also when this one is killed.

    ``with EmbeddedBroker(directory) as broker: connect(broker.bootstrap_servers)``

    The data in the directory is kept, so that a later start goes on. On Linux the kernel ends the
    broker with the *thread* that called `start`: start it in one that outlives it. On other systems
    the context manager and `atexit` end it, which a SIGKILL of this process prevents.
    """

    def __init__(
        self, directory: Path, *, port: int | None = None, announce: Announce = logger.info
    ) -> None:
        self.directory = directory
        self._port = port
        self._announce = announce
        self._running: RunningBroker | None = None

    def start(self) -> Self:
        """Start the process and return once it answers.

        Raises:
            BrokerError: see `prepare_jvm` and `launch`.
        """
        jvm = prepare_jvm(self._announce)
        self._running = launch(self.directory, jvm, port=self._port, owned=True)
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stop the broker in order; harmless when it does not run."""
        atexit.unregister(self.stop)
        if self._running is not None:
            stop(self._running)
            self._running = None

    def wait(self) -> None:
        """Block until the broker is stopped from outside.

        Raises:
            BrokerError: it was not stopped in order but died.
        """
        exit_code = self._live.process.wait()
        if exit_code not in ORDERLY_EXITS:
            raise explain_death(self.directory, exit_code)

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, ``host:port``."""
        return self._live.ports.bootstrap_servers

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._live.process.pid

    @property
    def _live(self) -> RunningBroker:
        if self._running is None:
            raise BrokerError("the broker has not been started: use it in a with block")
        return self._running

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
