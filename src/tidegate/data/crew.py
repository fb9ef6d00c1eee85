"""Work on many things at once, try again what may succeed later, and let go at once when interrupted."""

from collections.abc import Callable, Generator, Iterable, Iterator
from errno import EDQUOT, ENOSPC, EROFS
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue
    from threading import Lock

T = TypeVar("T")
R = TypeVar("R")

TRIES = 6
THREAD_NAME = "tidegate-crew"
FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_TICK_S = 0.5
_LAST_WORDS_S = 1.0
HOPELESS = frozenset({ENOSPC, EDQUOT, EROFS})


class StoppedError(Exception):
    """The others have stopped, so this piece of work ends as well."""


class _Crash(NamedTuple):
    error: BaseException


class Crew:
    """`jobs` threads that take turns at things; only the caller's thread sees results and ticks.

    With one job there is no thread. Threads are daemons: one that hangs in a connection does not keep an
    interrupted process alive.
    """

    def __init__(self, jobs: int, tick: Callable[[], None]) -> None:
        from threading import Event

        self.stop: Event = Event()
        self._jobs = jobs
        self._tick = tick

    def work(self, do: Callable[[T], R], things: Iterable[T]) -> Generator[R, None, None]:
        """The result for each thing, as it comes; what `do` raises is raised here, and stops all."""
        try:
            yield from map(do, things) if self._jobs == 1 else self._share(do, iter(things))
        except BaseException:
            self.stop.set()
            raise

    def patiently(self, do: Callable[[], R]) -> R:
        """The result of `do`, in a few tries with growing pauses where trying again may help."""
        for attempt in range(1, TRIES):
            try:
                return do()
            except (FileNotFoundError, PermissionError):
                raise
            except OSError as error:
                if error.errno in HOPELESS:
                    raise
            self.stop.wait(_pause(attempt))
            self.check()
        return do()

    def check(self) -> None:
        """Raise StoppedError when the work has been stopped."""
        if self.stop.is_set():
            raise StoppedError

    def _share(self, do: Callable[[T], R], things: Iterator[T]) -> Iterator[R]:
        from queue import SimpleQueue
        from threading import Lock, Thread

        results: SimpleQueue[tuple[R] | _Crash | None] = SimpleQueue()
        turn = Lock()

        def labor() -> None:
            try:
                while (thing := _next(things, turn)) and not self.stop.is_set():
                    results.put((do(thing[0]),))
            except BaseException as error:
                # raised again in the caller's thread
                results.put(_Crash(error))
            results.put(None)

        threads = [Thread(target=labor, name=THREAD_NAME, daemon=True) for _ in range(self._jobs)]
        for thread in threads:
            thread.start()
        try:
            yield from self._collect(results)
        except BaseException:
            self.stop.set()
            raise
        finally:
            for thread in threads:
                thread.join(_LAST_WORDS_S / len(threads))

    def _collect(self, results: "SimpleQueue[tuple[R] | _Crash | None]") -> Iterator[R]:
        from queue import Empty

        left = self._jobs
        while left:
            try:
                result = results.get(timeout=_TICK_S)
            except Empty:
                self._tick()
                continue
            if isinstance(result, _Crash):
                raise result.error
            if result is None:
                left -= 1
            else:
                yield result[0]


def _next(things: Iterator[T], turn: "Lock") -> tuple[T] | None:
    with turn:
        return next(((thing,) for thing in things), None)


def _pause(attempt: int) -> float:
    """Twice as long each time, and never the same for two who failed together."""
    from random import uniform

    longest = min(FIRST_DELAY_S * 2.0 ** (attempt - 1), _LONGEST_DELAY_S)
    chosen: float = longest * uniform(0.5, 1.0)  # noqa: S311 -- no secret
    return chosen
