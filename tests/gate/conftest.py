"""Evidence from counts: rows where only the candidate is right, only the baseline is, then both or none."""

from pathlib import Path

import numpy as np
import pytest

from tidegate.gate.checks import Evidence
from tidegate.gate.read import Wanted, read_rows
from tidegate.gate.rows import Coded, Rows, digest_of, rows_digest
from tidegate.project import Data


def coded(values: list[str]) -> Coded:
    levels = tuple(sorted(set(values)))
    return Coded(np.array([levels.index(value) for value in values], dtype=np.uint8), levels)


def rows_of(right: list[bool], group: list[str] | None = None) -> Rows:
    """Rows of a two-class test set that are right where told."""
    truth = np.arange(len(right), dtype=np.uint8) % 2
    said = np.where(right, truth, 1 - truth).astype(np.uint8)
    columns = {"group": coded(group or ["all"] * len(right))}
    place = np.arange(len(right), dtype=np.uint32)
    test_set = digest_of([truth])
    rows = Rows("rows", "multiclass", ("a", "b"), 1, truth, said, None, columns, place, test_set, "")
    return rows._replace(digest=rows_digest(rows))


def evidence_of(gained: int, lost: int, n: int, *, wrong: int = 0) -> Evidence:
    """`gained` rows right only for the candidate, then `lost`, then `wrong` wrong for both, then right."""
    both = [False] * wrong + [True] * (n - gained - lost - wrong)
    return Evidence(
        rows_of([True] * gained + [False] * lost + both), rows_of([False] * gained + [True] * lost + both)
    )


def grouped_evidence(*groups: tuple[str, int, int, int]) -> Evidence:
    """Evidence whose column `group` holds `(name, gained, lost, n)` one after the other."""
    new, old, names = [], [], []
    for name, gained, lost, n in groups:
        same = [True] * (n - gained - lost)
        new += [True] * gained + [False] * lost + same
        old += [False] * gained + [True] * lost + same
        names += [name] * n
    return Evidence(rows_of(new, names), rows_of(old, names))


@pytest.fixture
def rows():
    return rows_of


@pytest.fixture(name="rows_of")
def _rows_of():
    return rows_of


@pytest.fixture
def evidence():
    return evidence_of


@pytest.fixture
def grouped():
    return grouped_evidence


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str, data: Data = Data(), wanted: Wanted = Wanted()) -> Rows:  # noqa: B008 - frozen
        path = tmp_path / "evaluation.csv"
        path.write_text(text)
        return read_rows(path, data, wanted)

    return read_text
