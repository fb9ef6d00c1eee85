"""Pairs: the counts behind a comparison and the words for them."""

import pytest

from tidegate.gate.pairs import Pair, changes, interval, p_not_worse, p_worse, points, sentence, tally
from tidegate.stats.exact import Interval


def test_a_pair_counts_the_rows_that_only_one_gets_right(evidence):
    pair = tally(changes(*evidence(3, 2, 10, wrong=4)))
    assert pair == Pair(3, 2, 10)
    assert (pair.difference, pair.disagreement) == (0.1, 0.5)


def test_no_disagreement_is_planned_for_as_one_row():
    assert Pair(0, 0, 50).disagreement == 0.02


def test_reference_p_values():
    assert p_not_worse(Pair(30, 25, 500), margin=0.02, error=0.05) == pytest.approx(0.02537805, abs=1e-6)
    assert p_not_worse(Pair(45, 30, 500), margin=0.0, error=0.05) == pytest.approx(0.04207390, abs=1e-6)


def test_worse_is_the_same_test_with_the_models_exchanged():
    assert p_worse(Pair(30, 45, 500), margin=0.0, error=0.05) == p_not_worse(
        Pair(45, 30, 500), margin=0.0, error=0.05
    )
    assert (
        p_worse(Pair(10, 60, 500), margin=0.05, error=0.05)
        < 0.05
        < p_worse(Pair(10, 40, 500), margin=0.05, error=0.05)
    )


def test_an_exchanged_pair_has_the_mirrored_interval():
    span, mirrored = interval(Pair(45, 30, 500), error=0.025), interval(Pair(30, 45, 500), error=0.025)
    assert (span.low, span.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-6)
    assert span.low < 0.03 < span.high


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.0211, "+2.1"), (-0.02, "-2.0"), (0.0, "+0.0"), (-0.0, "+0.0"), (-1e-9, "+0.0")],
)
def test_points_are_signed(difference, text):
    assert points(difference) == text


def test_the_sentence_holds_counts_and_interval():
    said = sentence(Pair(31, 12, 898), Interval(-0.0021, 0.0438))
    assert said == "31 better and 12 worse of 898 rows: difference +2.1 pp, interval [-0.2, +4.4] pp"
