"""A model's process, seen from the one that asks: started with nothing inherited, asked with a deadline, ended."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.errors import TidegateError
from tidegate.registry.runtime.line import Line
from tidegate.registry.runtime.wire import Reply, Request, receive, send

if TYPE_CHECKING:
    import asyncio

CHILD = "tidegate.registry.runtime.child"
KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
SET = {
    "MALLOC_ARENA_MAX": "2",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
}
FILES = "files"
LOG = "log"
TOLD = 2000


class DiedError(TidegateError):
    """The process ended, hung or talked nonsense; it is gone by now."""


class Process:
    """One child process and its end of the socket; `files` are written where it finds them, and nowhere else.

    Its folder in the temporary directory goes with it.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-model-"))
        try:
            _write(self.folder / FILES, files)
            self._socket, self._life, self._child = _start(self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._end = weakref.finalize(self, _stop, self._child, self._socket, self._life, self.folder)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def ask(self, request: Request, *, timeout: float) -> Reply:
        """What it says to the request within `timeout` seconds; DiedError when it does not, and then it is gone."""
        until = time.monotonic() + timeout
        try:
            send(self._socket, request, until=until)
            return receive(self._socket, Reply, until=until)
        except (EOFError, OSError, ValueError, msgspec.MsgspecError) as error:
            raise self.died(error, timeout=timeout) from None

    def line(self, loop: "asyncio.AbstractEventLoop") -> Line:
        """A way to ask it from an event loop, as long as nobody else asks."""
        return Line(self._socket, loop)

    def died(self, error: Exception, *, timeout: float) -> DiedError:
        """What is to be told about its end, which is now at the latest, after a call that ended with this error."""
        said = _last_line(self.folder / LOG)
        self.stop()
        found = f"gave no sensible answer ({error}), ended"
        if isinstance(error, TimeoutError):
            found = f"no answer within {timeout:g} s, ended"
        elif isinstance(error, EOFError | OSError):
            found = f"its process {_describe(self._child.returncode)}"
        return DiedError("model", f"{found}: {said}" if said else found)

    def stop(self) -> None:
        """End it and everything that it started; again is nothing."""
        self._end()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise TidegateError("model", f"file `{name}` lies outside of the bundle, refusing to load")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)


def _start(folder: Path) -> "tuple[socket.socket, int, subprocess.Popen[bytes]]":
    """The socket to talk through, the pipe that the child's life hangs on, and the child."""
    ours, theirs = socket.socketpair()
    life, held = os.pipe()
    command = [sys.executable, "-P", "-m", CHILD, str(theirs.fileno()), str(life)]
    with theirs, (folder / LOG).open("ab") as log:
        try:
            child = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(), life),
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(life)
    return ours, held, child


def _environment(folder: Path) -> dict[str, str]:
    """Where programs and libraries are, and nothing else: a model has no business with the gateway's secrets."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **SET, "HOME": str(folder), "TMPDIR": str(folder)}


def _stop(child: "subprocess.Popen[bytes]", connection: socket.socket, life: int, folder: Path) -> None:
    with contextlib.suppress(ProcessLookupError):
        # it leads a group of its own; whoever is dead already keeps the code of that death
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    with contextlib.suppress(OSError):
        # whoever else holds this end, such as an event loop, learns of it
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    os.close(life)
    shutil.rmtree(folder, ignore_errors=True)


def _describe(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _last_line(log: Path) -> str:
    """The last line that it wrote, which in Python is the error."""
    try:
        lines = log.read_bytes()[-TOLD:].decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
