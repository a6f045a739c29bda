"""Child processes that do not outlive their parent, on Linux.

Run as a script (``python lifetime.py PARENT_PID COMMAND [ARGUMENT ...]``) it asks the kernel for
SIGTERM when the parent ends (prctl(2), PR_SET_PDEATHSIG) and becomes the command: the request and
the process id stay over exec. It is a script because code between fork and exec, as in a
``preexec_fn``, is unsafe in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def bind_to_parent(command: list[str]) -> list[str]:
    """Return the command that runs ``command``, an absolute path first, bound to this process.

    It ends when the *thread* that starts it does. Elsewhere than on Linux the command is returned
    as it is, and a parent killed by SIGKILL leaves it running.
    """
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def become(parent: int, command: list[str]) -> None:
    """Replace this process by the command; it gets SIGTERM when the parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent ended before the kernel could watch it")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
