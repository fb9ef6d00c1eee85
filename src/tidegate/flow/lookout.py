"""When it is worth a look: signs of change are cheap to compare many times a second, what they stand for is not."""

import asyncio
import time
from collections.abc import Callable

POLL_S = 0.05
# how long a change is followed up: SQLite shows what somebody wrote only when it is durable
SETTLE_S = 5.0
IDLE_S = 1.0


class Lookout:
    """Says when to read again what `signs` tells of: they are taken before, so that no change is missed."""

    def __init__(self, signs: Callable[[], object]) -> None:
        self._signs = signs
        self._known: object = None
        self._moved = self._at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether to read again: while the signs change, for SETTLE_S after that, and every IDLE_S anyway."""
        signs = self._signs()
        if signs != self._known:
            self._known, self._moved = signs, now
        if now - self._moved > SETTLE_S and now - self._at < IDLE_S:
            return False
        self._at = now
        return True

    async def wait(self) -> None:
        """Return when it is due, asked every POLL_S by a timer: a task that sleeps costs twice as much."""
        loop = asyncio.get_running_loop()
        due = loop.create_future()

        def look() -> None:
            if due.done():
                return
            if self.is_due(time.monotonic()):
                due.set_result(None)
            else:
                loop.call_later(POLL_S, look)

        loop.call_later(POLL_S, look)
        await due
