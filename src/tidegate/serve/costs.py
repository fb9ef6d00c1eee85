"""What a batch is going to take, from what batches of the same model took lately."""

SMOOTHING = 0.2


class Costs:
    """Seconds of processor time a row, by model and by the size of the batch in powers of two.

    A call costs something before its first row, so that a row of a large batch costs less than a single one.
    """

    def __init__(self) -> None:
        self._row_s: dict[str, dict[int, float]] = {}

    def expected_s(self, digest: str, rows: int) -> float:
        """What a batch of about this size took; one of a new size as if its rows cost as never before."""
        known = self._row_s.get(digest, {})
        return rows * known.get(rows.bit_length(), max(known.values(), default=0.0))

    def learn(self, digest: str, rows: int, *, seconds: float) -> None:
        """A batch took so long on its thread, not by the clock: on a busy machine everything is slow."""
        known, size = self._row_s.setdefault(digest, {}), rows.bit_length()
        before = known.get(size, seconds / rows)
        known[size] = before + SMOOTHING * (seconds / rows - before)
