"""PyTorch on one thread, for both sides; this package itself never imports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def one_thread(torch: ModuleType) -> Iterator[None]:
    """Keep the module ``torch`` to one thread: faster for small layers, and the same bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
