"""The names that commands had before; they work for one more release, and no help shows them."""

from collections.abc import Sequence

NEW_NAMES = {
    ("topics",): ("topic",),
    ("dead-letters",): ("dead-letter",),
    ("client", "outbox"): ("outbox",),
    ("server", "client"): ("client",),
    ("server", "encoder"): ("encoder",),
    ("server", "db"): ("database",),
    ("server", "offsets"): ("database", "position"),
    ("archive", "verify"): ("archive", "check"),
}
"""First words of a command line before and now."""

VERBS = {"topics": "list", "replay": "run"}
"""What these did without a verb."""


def use_new_name(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of ``ioa`` with the name that their command has now."""
    first, *rest = arguments or [""]
    if first in VERBS and "--help" not in rest[:1] and (not rest or rest[0].startswith("-")):
        arguments = [first, VERBS[first], *rest]
    for length in (2, 1):
        if name := NEW_NAMES.get(tuple(arguments[:length])):
            return [*name, *arguments[length:]]
    return [*arguments]
