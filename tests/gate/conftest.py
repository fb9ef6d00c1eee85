"""Evidence from counts: rows where only the candidate is right, only the baseline is, then both or none."""

import pytest

from tidegate.gate.checks import Evidence
from tidegate.gate.evaluate import Rows


def rows_of(right: list[bool], group: list[str] | None = None) -> Rows:
    """Rows of a two-class test set that are right where told."""
    truth = tuple("ab"[index % 2] for index in range(len(right)))
    said = tuple(was if good else f"not {was}" for was, good in zip(truth, right, strict=True))
    ids = tuple(f"row{index}" for index in range(len(right)))
    return Rows(ids, truth, said, {"group": tuple(group or ["all"] * len(right))})


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


@pytest.fixture
def evidence():
    return evidence_of


@pytest.fixture
def grouped():
    return grouped_evidence
