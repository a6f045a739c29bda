"""Python's garbage collector in a process that only stores messages."""

import gc

_OBJECTS_PER_LOOK = 200_000


def relieve_collector() -> None:
    """Let it look rarely, and never at what start-up has made.

    A batch makes tens of thousands of objects that die with it, none of them in cycles; looking
    for cycles among them, again and again, would take a quarter of the time.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_LOOK)
