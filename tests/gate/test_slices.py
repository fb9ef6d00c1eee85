"""Slices: what is proven worse blocks by name; what is not, or cannot be judged, passes and is listed."""

import pytest

from tidegate.errors import UsageError
from tidegate.gate.slices import cut, judge_slices
from tidegate.project import Slices

RULE = Slices(by=("group",))


def judge(rule, evidence, error=0.05):
    return judge_slices(rule, *evidence, error=error)


def test_a_slice_proven_worse_blocks_and_is_named(grouped):
    found = judge(RULE, grouped(("north", 4, 4, 200), ("south", 0, 20, 150)))
    assert [(f.check, f.verdict, f.n) for f in found] == [("slices group=south", "block", 150)]
    assert found[0].high < 0
    assert "0 better and 20 worse of 150 rows" in found[0].because


def test_every_slice_proven_worse_is_reported(grouped):
    found = judge(RULE, grouped(("east", 0, 0, 120), ("north", 0, 20, 120), ("south", 0, 30, 120)))
    assert [f.check for f in found] == ["slices group=south", "slices group=north"]


def test_without_proof_the_worst_slice_is_shown(grouped):
    found = judge(RULE, grouped(("north", 4, 4, 200), ("south", 1, 3, 150), ("west", 0, 9, 40)))
    assert [(f.check, f.verdict, f.n) for f in found] == [("slices group", "pass", 150)]
    assert "worst group=south" in found[0].because
    assert found[0].because.endswith("below 100 rows and not tested: group=west (40)")


def test_many_small_slices_are_counted_not_listed(grouped):
    found = judge(RULE, grouped(*((f"g{i}", 0, 9, 30) for i in range(8))))
    assert (found[0].verdict, found[0].n) == ("pass", 0)
    assert found[0].because.endswith("group=g4 (30) and 3 more")


def test_a_loss_within_the_margin_is_no_proof(grouped):
    evidence = grouped(("south", 0, 12, 200))
    assert judge(RULE, evidence)[0].verdict == "block"
    assert judge(Slices(by=("group",), margin=0.05), evidence)[0].verdict == "pass"


def test_more_slices_need_stronger_proof(grouped):
    alone = grouped(("south", 1, 8, 120))
    among = grouped(("south", 1, 8, 120), *((f"g{i}", 2, 2, 120) for i in range(9)))
    assert judge(RULE, alone)[0].verdict == "block"
    assert judge(RULE, among)[0].verdict == "pass"


def test_slices_can_be_cut_by_truth_and_by_several_columns(grouped):
    candidate, _ = grouped(("north", 0, 0, 4), ("south", 0, 0, 2))
    pairs = cut(("truth", "group"), candidate, (1, -1, 0, 0, 0, 1))
    assert {name: tuple(pair) for name, pair in pairs.items()} == {
        "group=north": (1, 1, 4),
        "group=south": (1, 0, 2),
        "truth=a": (1, 0, 3),
        "truth=b": (1, 1, 3),
    }


def test_an_unknown_column_is_a_usage_error(grouped):
    with pytest.raises(UsageError, match="no column `grup` in the evaluation rows, did you mean `group`"):
        judge(Slices(by=("grup",)), grouped(("north", 0, 0, 4)))
