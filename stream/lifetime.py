"""Child processes that do not outlive their parent."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable


def bind_to_parent() -> Callable[[], None] | None:
    """Return a ``preexec_fn`` that has the kernel send SIGTERM when the parent is gone.

    Linux only (prctl(2), PR_SET_PDEATHSIG), and it fires when the *thread* that started the child
    ends; elsewhere None, and a parent killed by SIGKILL leaves its children running.
    """
    if sys.platform != "linux":
        return None
    libc, parent, set_death_signal = ctypes.CDLL(None), os.getpid(), 1

    def ask_kernel() -> None:
        libc.prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return ask_kernel
