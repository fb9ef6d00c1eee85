"""Busy polling: while clients ask again at once, the loop looks for them instead of sleeping.

To be put to sleep and woken takes a virtual machine longer than a client on the same one takes to ask again, and
what runs after it finds the caches cold: one connection at a time gets a third more answers, each for less CPU.
"""

import asyncio
import os
import time

# how long to look for the next request; a client on the network takes longer, and gets a loop that sleeps
LOOK_S = 100e-6
# how long for what a model in another process says, where it is known to take no longer
MODEL_S = 500e-6
MOST = 8
ENOUGH = 4


class BusyPoll:
    """Told of each request and reply on a loop; `is_on` where a processor is left for those who ask.

    It looks only while two of three replies were followed by a request within LOOK_S, so that it costs little
    where nothing comes of it.
    """

    def __init__(self, *, is_on: bool = False) -> None:
        self._is_on = is_on
        self._score = 0
        self._hoped = 0.0
        self._until = 0.0
        self._is_looking = False

    @property
    def is_close(self) -> bool:
        """Whether requests follow replies at once."""
        return self._score >= ENOUGH

    def asked(self) -> None:
        """A request has begun to come in."""
        if self._hoped:
            self._score = min(MOST, self._score + 1) if time.perf_counter() < self._hoped else self._less()
            self._hoped = self._until = 0.0

    def replied(self, loop: asyncio.AbstractEventLoop) -> None:
        """A reply has gone out."""
        if self._is_on:
            self._hoped = time.perf_counter() + LOOK_S
            if self.is_close:
                self._look_until(loop, self._hoped)

    def await_model(self, loop: asyncio.AbstractEventLoop, expected_s: float) -> None:
        """A model in another process was asked, the only thing that is under way."""
        if self.is_close and 0 < expected_s < MODEL_S:
            self._look_until(loop, time.perf_counter() + MODEL_S)

    def heard_model(self) -> None:
        """It has answered."""
        self._until = 0.0

    def _look_until(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        self._until = until
        if not self._is_looking:
            self._is_looking = True
            loop.call_soon(self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """One turn of the loop, which takes what has come and does not wait."""
        if time.perf_counter() < self._until:
            # whoever else wants this processor, the client or the model perhaps, goes first
            os.sched_yield()
            loop.call_soon(self._look, loop)
            return
        self._is_looking = False
        if self._hoped and self._until:
            self._score, self._hoped = self._less(), 0.0

    def _less(self) -> int:
        return max(0, self._score - 2)


def has_spare_processor(workers: int) -> bool:
    """Whether there are more processors for this process than workers."""
    # only Linux tells which ones
    mine = getattr(os, "sched_getaffinity", None)
    return (len(mine(0)) if mine else os.cpu_count() or 1) > workers
