"""The names that commands had before; they work for one more release, and no help shows them."""

from collections.abc import Sequence

NEW_NAMES = {
    ("topics",): ("topic", "list"),
    ("topics", "create"): ("topic", "create"),
    ("topics", "check"): ("topic", "check"),
    ("dead-letters",): ("dead-letter",),
    ("client", "outbox"): ("outbox",),
    ("server", "client"): ("client",),
    ("server", "encoder"): ("encoder",),
    ("server", "db"): ("database",),
    ("server", "offsets"): ("database", "position"),
    ("archive", "verify"): ("archive", "check"),
    ("replay",): ("replay", "run"),
    ("replay", "run"): ("replay", "run"),
}
"""First words of a command line before and now; where two entries fit, the longer one holds."""


def use_new_name(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of ``ioa`` with the name that their command has now."""
    for length in (2, 1):
        if name := NEW_NAMES.get(tuple(arguments[:length])):
            return [*name, *arguments[length:]]
    return [*arguments]
