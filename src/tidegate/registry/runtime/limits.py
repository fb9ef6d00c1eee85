"""What a model's process may use, set by the process itself before it reads a byte of the model."""

import ctypes
import fcntl
import os
import resource
import signal
import sys

NO_NEW_PRIVILEGES = 38
MAX_FILES = 256
MAX_WRITTEN = 16_000_000


def die_with(life: int) -> None:
    """End at once, by a signal, when the process that holds the other end of the pipe `life` is gone.

    The kernel does it, so that a model which never gives Python its turn cannot outlive the gateway.
    """
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    if hasattr(fcntl, "F_SETSIG"):
        # elsewhere it is SIGIO, which ends a process too unless the model catches it
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(life, fcntl.F_GETFL)
    fcntl.fcntl(life, fcntl.F_SETFL, flags | os.O_NONBLOCK | getattr(os, "O_ASYNC", 0))
    try:
        os.read(life, 1)
    except BlockingIOError:
        return
    os._exit(0)


def set_limits(memory: int) -> None:
    """No core file, few open files, no more rights than now, `memory` bytes of address space, short files."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_FILES)
    _limit(resource.RLIMIT_FSIZE, MAX_WRITTEN)
    if sys.platform != "darwin":
        # macOS knows the limit and refuses to set it
        _limit(resource.RLIMIT_AS, memory)
    _refuse_privileges()


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _refuse_privileges() -> None:
    """A program that the model starts gains nothing by being set-uid; only Linux knows this call."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
