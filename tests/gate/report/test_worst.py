"""The slices where the candidate lost most, whatever the gate has said about them."""

import pytest

from tidegate.gate.checks import Evidence
from tidegate.gate.read import Wanted
from tidegate.gate.report.worst import worst_slices
from tidegate.project import NotWorse, Slices

RULES = (NotWorse(), Slices(by=("group",)))


def test_the_worst_come_first_with_interval_and_verdict(grouped):
    found = worst_slices(
        RULES,
        grouped(("up", 30, 0, 200), ("down", 0, 40, 200), ("same", 5, 5, 200)),
        verdicts={"group=down": "block"},
        most=10,
    )
    assert [(one.name, one.n, one.verdict) for one in found] == [
        ("group=down", 200, "block"),
        ("group=same", 200, None),
        ("group=up", 200, None),
    ]
    worst = found[0]
    assert (worst.candidate, worst.live, worst.change) == (0.8, 1.0, pytest.approx(-0.2))
    assert worst.low < worst.change < worst.high < 0
    assert found[1].low < 0 < found[1].high


def test_small_slices_are_left_out_and_the_list_has_an_end(grouped):
    groups = [(f"g{number:02}", 0, number, 100) for number in range(12)]
    found = worst_slices(RULES, grouped(*groups, ("small", 0, 50, 99)), verdicts={}, most=10)
    assert [one.name for one in found] == [f"group=g{number:02}" for number in range(11, 1, -1)]


def test_with_nothing_live_the_candidate_stands_alone(grouped):
    rows = grouped(("good", 0, 1, 100), ("bad", 0, 30, 100)).candidate
    found = worst_slices(RULES, Evidence(rows, None), verdicts={}, most=10)
    assert [(one.name, one.candidate) for one in found] == [("group=bad", 0.7), ("group=good", 0.99)]
    assert all((one.live, one.change, one.low, one.high) == (None,) * 4 for one in found)


def test_without_rules_about_slices_there_are_none(grouped):
    assert worst_slices((NotWorse(),), grouped(("a", 0, 1, 200)), verdicts={}, most=10) == ()


def test_numbers_are_measured_by_their_error(read):
    def rows(off):
        lines = "".join(f"{n},{n},{n + off(n)},{'ab'[n % 2]}\n" for n in range(400))
        wanted = Wanted("regression", values=("kind",))
        return read(f"id,truth,prediction,kind\n{lines}", wanted=wanted)

    evidence = Evidence(rows(lambda n: 1 + n % 2), rows(lambda n: 1 + n % 3 / 10))
    rule = Slices(by=("kind",), metric="mae")
    found = worst_slices((rule,), evidence, verdicts={}, most=10)
    assert [(one.name, one.candidate) for one in found] == [("kind=b", 2.0), ("kind=a", 1.0)]
    assert found[0].change > found[0].low > 0 > found[1].change
