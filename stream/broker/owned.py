"""Run as a script: become a command that ends when the parent thread does (Linux).

    python owned.py PARENT_PID COMMAND [ARGUMENT ...]

The kernel keeps the request (prctl PR_SET_PDEATHSIG) over exec, so that the process id stays too. A
script of its own, because code between fork and exec is unsafe in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, command: list[str]) -> None:
    """Replace this process by the command; it gets SIGTERM when the parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent ended before the kernel could watch it")
    os.execv(command[0], command)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
