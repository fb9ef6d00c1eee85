"""What a batch is going to take, from what batches of the same model took lately."""

from collections import deque

REMEMBERED = 4


class Costs:
    """Seconds a row, by model and by the size of the batch in powers of two.

    A call costs something before its first row, so that a row of a large batch costs less than a single one.
    What counts is the quickest of the last few: on a busy machine any of them may have waited for a processor.
    """

    def __init__(self) -> None:
        self._row_s: dict[str, dict[int, deque[float]]] = {}

    def expected_s(self, digest: str, rows: int) -> float:
        """What a batch of about this size takes; one of a new size as if its rows cost as never before."""
        known = self._row_s.get(digest)
        if not known:
            return 0.0
        same = known.get(rows.bit_length())
        return rows * (min(same) if same else max(map(min, known.values())))

    def learn(self, digest: str, rows: int, *, seconds: float) -> None:
        """A batch took so long."""
        known, size = self._row_s.setdefault(digest, {}), rows.bit_length()
        if size not in known:
            known[size] = deque(maxlen=REMEMBERED)
        known[size].append(seconds / rows)
