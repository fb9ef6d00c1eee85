"""Slices: what is proven worse blocks by name; what is not, or cannot be judged, passes and is listed."""

import pytest

from tidegate.errors import UsageError
from tidegate.gate.checks import Evidence
from tidegate.gate.finding import Terms
from tidegate.gate.read import Wanted, wanted_by
from tidegate.gate.slices import cut, judge_slices
from tidegate.project import Gate, Slices

RULE = Slices(by=("group",))


def judge(rule, evidence, error=0.05):
    return judge_slices(rule, evidence.candidate, evidence.baseline, terms=Terms(error, error, 0.9))


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
    assert [(f.check, f.verdict, f.n) for f in found] == [
        ("slices group=south", "pass", 150),
        ("slices group=north", "pass", 200),
    ]
    assert found[0].because.endswith(
        "not proven worse (one of 2 slices); not tested: group=west (40 of 100 rows)"
    )


def test_many_small_slices_are_counted_not_listed(grouped):
    found = judge(RULE, grouped(*((f"g{i}", 0, 9, 30) for i in range(8))))
    assert (found[0].verdict, found[0].n) == ("pass", 0)
    assert found[0].because.endswith("group=g4 (30 of 100 rows) and 3 more")


def test_a_loss_within_the_margin_is_no_proof(grouped):
    evidence = grouped(("south", 0, 12, 200))
    assert judge(RULE, evidence)[0].verdict == "block"
    assert judge(Slices(by=("group",), margin=0.05), evidence)[0].verdict == "pass"


def test_more_slices_need_stronger_proof(grouped):
    alone = grouped(("south", 1, 8, 120))
    among = grouped(("south", 1, 8, 120), *((f"g{i}", 2, 2, 120) for i in range(9)))
    assert judge(RULE, alone)[0].verdict == "block"
    assert judge(RULE, among)[0].verdict == "pass"


CSV = "id,truth,prediction,region,age\n" + "".join(
    f"{i},{'ab'[i % 2]},a,{('north', 'south')[i % 4 == 0]},{i}\n" for i in range(40)
)


def sizes(read, rule):
    rows = read(CSV, wanted=wanted_by(Gate(rule=(rule,)), "multiclass"))
    return {name: len(index) for name, index in cut(rule, rows).items()}


def test_slices_are_cut_by_values_by_quantiles_and_by_conditions(read):
    rule = Slices(by=("truth", "region"), bins=("age:4",), where=("age >= 30 and region = 'south'",))
    assert sizes(read, rule) == {
        "truth=a": 20,
        "truth=b": 20,
        "region=north": 30,
        "region=south": 10,
        "age up to 9": 10,
        "age above 9 and up to 19": 10,
        "age above 19 and up to 29": 10,
        "age above 29": 10,
        "age >= 30 and region = 'south'": 2,
    }


def test_equal_numbers_stay_in_one_bin(read):
    rows = read(
        "id,truth,prediction,age\n" + "".join(f"{i},a,a,{5 if i < 30 else 9}\n" for i in range(40)),
        wanted=Wanted(numbers=("age",)),
    )
    rule = Slices(bins=("age:4",))
    assert {name: len(index) for name, index in cut(rule, rows).items()} == {
        "age up to 5": 30,
        "age above 5": 10,
    }


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Slices(by=("regio",)), "no column `regio`, did you mean `region`?"),
        (Slices(bins=("region:3",)), "column `region` holds `south`, expected a number"),
        (Slices(where=("agee > 3",)), "unknown column `agee`, did you mean `age`?"),
        (Slices(where=("age > 3; drop table x",)), "is not understood"),
        (Slices(where=("age + 1",)), "expected true or false"),
    ],
)
def test_a_slice_that_cannot_be_cut_is_a_usage_error(read, rule, message):
    with pytest.raises(UsageError) as caught:
        sizes(read, rule)
    assert message in str(caught.value)


def test_all_must_be_proven_when_that_is_asked(grouped):
    rule = Slices(by=("group",), margin=0.05, mode="pass_only_if_all_proven")
    good = judge(rule, grouped(("north", 4, 4, 400), ("south", 2, 3, 400)))
    assert {f.verdict for f in good} == {"pass"}
    assert "all 2 slices are proven" in good[0].because
    thin = judge(rule, grouped(("north", 4, 4, 400), ("south", 9, 9, 120)))
    assert [(f.check, f.verdict) for f in thin] == [("slices group=south", "underpowered")]
    assert thin[0].n_needed > 120
    bad = judge(rule, grouped(("north", 4, 4, 400), ("south", 0, 40, 200)))
    assert [(f.check, f.verdict) for f in bad] == [("slices group=south", "block")]


def test_a_slice_of_one_class_is_not_tested_by_a_metric_that_needs_two(read):
    text = "id,truth,prediction,score,group\n" + "".join(
        f"{i},{'y' if i < 60 or i % 2 else 'n'},y,{(i * 37 % 100) / 100},{'one' if i < 60 else 'two'}\n"
        for i in range(160)
    )
    rule = Slices(by=("group",), metric="auc", min_rows=50)
    rows = read(text, wanted=wanted_by(Gate(rule=(rule,)), "binary"))
    found = judge(rule, Evidence(rows, rows))
    assert [f.check for f in found] == ["slices group=two"]
    assert "group=one (class `n` has 0 rows, `auc` needs two rows of each class)" in found[0].because
