"""Who follows the work of a verb."""

from collections.abc import Callable
from typing import NamedTuple


class Watch(NamedTuple):
    """Who follows the work: told whom it waits for, and the size of each file that is done."""

    note: Callable[[str], None] = lambda text: None
    stored: Callable[[int], None] | None = None


UNSEEN = Watch()
