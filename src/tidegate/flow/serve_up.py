"""The service: one socket, gateway workers and, with `up`, the watcher, in the foreground or behind."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import ConflictError, TidegateError, UnavailableError
from tidegate.flow.endpoint import Address, address_of, endpoint_of, is_public, is_ready, make_context
from tidegate.flow.supervise import SUPERVISOR, supervise
from tidegate.project import Config, load_config
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger
from tidegate.store.lock import hold

POLL_S = 0.1
START_S = 30.0
# how long a worker takes to end, beside what it drains
STOP_S = 5.0
BIND_S = 5.0


class Up(NamedTuple):
    """A service in the background; `was_up` when it was there before."""

    process: int
    url: str
    was_up: bool


def up(root: Path) -> Up:
    """Start the service in the background and wait until it is ready.

    Raises TidegateError with the service's own words when it does not come up, UsageError when nothing
    is live.
    """
    layout = Layout(root)
    config = load_config(root)
    address = _checked(root, config)
    _require_live(layout)
    running = service_process(layout)
    if running:
        return Up(running, address.url, True)
    _warn_if_open(config, address)
    started = _start_detached(layout)
    _wait_until_ready(layout, address, started)
    return Up(started.pid, address.url, False)


def down(root: Path) -> int | None:
    """Stop the service after draining; the supervisor's process, None when nothing ran."""
    layout = Layout(root)
    process = service_process(layout)
    if process is None:
        return None
    os.kill(process, signal.SIGTERM)
    if not _wait(lambda: service_process(layout) is None, load_config(root).serve.drain + 2 * STOP_S):
        # workers and watcher end when it is gone
        os.kill(process, signal.SIGKILL)
    return process


def serve(root: Path, *, watch: bool, listening: Callable[[Address], None] = lambda address: None) -> None:
    """Supervise in the foreground until SIGTERM or SIGINT; `listening` is told when the address is ours.

    Raises ConflictError when the project is being served already or the address is taken.
    """
    layout = Layout(root)
    config = load_config(root)
    address = _checked(root, config)
    _warn_if_open(config, address)
    _require_live(layout)
    with (
        hold(layout.run / f"{SUPERVISOR}.lock", what="serve", wait_s=2),
        _listen(address) as bound,
    ):
        _require_free(config)
        listening(address)
        commands = _commands(root, bound, workers=config.serve.workers, watch=watch)
        supervise(layout, commands, bound, stop_s=config.serve.drain + STOP_S)


def _checked(root: Path, config: Config) -> Address:
    """The address; UsageError for settings that no worker could serve with."""
    address = endpoint_of(root, config)
    if address.certificate:
        make_context(root, config)
    if config.serve.grpc:
        address_of(config.serve.grpc, "serve.grpc")
    return address


def _require_free(config: Config) -> None:
    """Raise ConflictError where somebody else has gRPC's port: workers share theirs, which would hide it."""
    if config.serve.grpc:
        with _listen(address_of(config.serve.grpc, "serve.grpc"), key="serve.grpc"):
            return


def _warn_if_open(config: Config, address: Address) -> None:
    """Say that everybody may ask, where other machines can."""
    calls = config.serve.grpc
    listening = [address, *([address_of(calls, "serve.grpc")] if calls else [])]
    public = [f"{one.host}:{one.port}" for one in listening if is_public(one)]
    if public and config.serve.access == "open":
        found = f"{' and '.join(public)} can be reached by others and asks for no key"
        print(f'warning: {found}; set serve.access = "keys"', file=sys.stderr, flush=True)  # noqa: T201


def _commands(root: Path, listening: socket.socket, *, workers: int, watch: bool) -> dict[str, list[str]]:
    """Each is told its supervisor's process, and ends when that is no longer its parent."""
    python, mine = [sys.executable, "-m"], [str(root), str(os.getpid())]
    handle = str(listening.fileno())
    names = [f"gateway-{i}" for i in range(workers)]
    commands = {name: [*python, "tidegate.flow.gateway", *mine, handle, name] for name in names}
    return commands | ({"watch": [*python, "tidegate.flow.watch", *mine]} if watch else {})


@contextmanager
def _listen(address: Address, key: str = "serve.address") -> Iterator[socket.socket]:
    """The listening socket; a service that is just ending may hold the address for a moment."""
    end = time.monotonic() + BIND_S
    while True:
        try:
            listening = socket.create_server(
                (address.host, address.port),
                family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
                backlog=2048,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < end:
                time.sleep(POLL_S)
                continue
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            found = f"{address.host}:{address.port}: {reason}"
            hint = f"set another {key} in tidegate.toml"
            raise ConflictError(key, found, hint=hint) from None
        with listening:
            yield listening
        return


def _require_live(layout: Layout) -> None:
    with open_ledger(layout.ledger) as ledger:
        if ledger.state().live is None:
            raise UnavailableError("serve", "nothing is live yet", hint="tidegate plan && tidegate apply")


def _start_detached(layout: Layout) -> "subprocess.Popen[bytes]":
    layout.run.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", "from tidegate.cli.main import main; main()", "serve", "--watch"]
    with (layout.run / "up.log").open("wb") as log:
        return subprocess.Popen(
            words, cwd=layout.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _wait_until_ready(layout: Layout, address: Address, started: "subprocess.Popen[bytes]") -> None:
    def is_up() -> bool:
        return _pid_of(layout) == started.pid and is_ready(address)

    ready = _wait(lambda: started.poll() is not None or is_up(), START_S)
    if ready and started.poll() is None:
        return
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    raise _last_words(layout)


def _pid_of(layout: Layout) -> int:
    """The supervisor that owns the socket by now, 0 before it does."""
    path = layout.run / f"{SUPERVISOR}.pid"
    return int(path.read_text()) if path.exists() else 0


def _last_words(layout: Layout) -> TidegateError:
    """The error that the service ended with, else what it said last."""
    lines = (layout.run / "up.log").read_text(errors="replace").splitlines()
    found = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    hints = [line.removeprefix("hint:").strip() for line in lines if line.startswith("hint:")]
    if found:
        return TidegateError("", found[-1], hint=(hints or [""])[-1])
    said = f"it did not get ready, the last word was `{(lines or [''])[-1]}`"
    return TidegateError("up", said, hint="less .tidegate/run/up.log")


def service_process(layout: Layout) -> int | None:
    """The supervisor's process: whoever holds its lock."""
    path = layout.run / f"{SUPERVISOR}.lock"
    if not path.exists():
        return None
    try:
        with hold(path, what="serve", wait_s=0):
            return None
    except ConflictError:
        text = path.read_text()
        return int(text) if text.isdigit() else None


def _wait(is_met: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not is_met():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_S / 2)
    return True
