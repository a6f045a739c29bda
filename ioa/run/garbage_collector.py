"""Python's garbage collector in a process that only stores messages."""

import gc

_OBJECTS_PER_COLLECTION = 200_000


def relieve_collector() -> None:
    """Collect rarely, and leave out all objects that exist now.

    A batch makes tens of thousands of objects that die with it, none of them in cycles; searching
    them for cycles again and again would take a quarter of the time.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
