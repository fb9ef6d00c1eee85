"""A single row through a session of onnxruntime, in memory that stays: making tensors takes longer than the model.

https://onnxruntime.ai/docs/performance/tune-performance/iobinding.html
"""

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

NUMBERS = "fiub"


class Lone:
    """Owns the tensors of one row [1, columns] and of what the session gives for it."""

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        row: "tuple[str, np.ndarray]",
        given: "Sequence[tuple[str, np.ndarray]]",
    ) -> None:
        name, self._row = row
        self._given = [values for _, values in given]
        self._session = session
        self._lock = Lock()
        self._binding = session.io_binding()
        self._binding.bind_input(name, *_place(self._row))
        for output, values in given:
            self._binding.bind_output(output, *_place(values))

    def run(self, row: "np.ndarray") -> "list[np.ndarray] | None":
        """The outputs for a row; None while another thread asks, and where the session fails."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            self._row[:] = row
            self._session.run_with_iobinding(self._binding)
            return [values.copy() for values in self._given]
        except Exception:  # onnxruntime raises bare classes of its C layer
            return None
        finally:
            self._lock.release()


def make_lone(
    session: "onnxruntime.InferenceSession", name: str, asked: Sequence[str], row: "np.ndarray"
) -> Lone | None:
    """The quick way for a model whose one input takes rows like this one.

    None where the model does not take it, or gives anything but the same numbers both ways.
    """
    import numpy as np

    probes = (row, row + 1)
    try:
        plain = [session.run(asked, {name: probe}) for probe in probes]
    except Exception:  # onnxruntime raises bare classes of its C layer
        return None
    if any(values.dtype.kind not in NUMBERS for values in plain[0]):
        return None
    lone = Lone(
        session,
        (name, row.copy()),
        [(one, np.empty_like(values)) for one, values in zip(asked, plain[0], strict=True)],
    )
    found = [lone.run(probe) for probe in probes]
    return lone if all(map(_are_same, found, plain)) else None


def _place(values: "np.ndarray") -> "tuple[str, int, type, tuple[int, ...], int]":
    """Where an array lies, as a binding is told."""
    return "cpu", 0, values.dtype.type, values.shape, values.ctypes.data


def _are_same(found: "list[np.ndarray] | None", plain: "list[np.ndarray]") -> bool:
    return found is not None and all(
        one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(found, plain, strict=True)
    )
