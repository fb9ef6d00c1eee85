"""The report: its first line answers whether to ship, and every number comes from the decision."""

import pytest

from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide
from tidegate.gate.report import render_report
from tidegate.project import Better, Churn, Gate, Min, NotWorse, Slices

GATE = Gate(rule=(NotWorse(margin=0.02), Min(value=0.8), Slices(by=("group",)), Churn(max=0.2), Better()))


def report(gate, evidence, history=()):
    decision = decide(gate, evidence, history, now=0.0, commit="abcdef0123")
    return decision, render_report(decision, name="digits", gate=gate)


@pytest.mark.parametrize(
    ("counts", "headline"),
    [
        ((90, 5, 898), "### ✅ digits: may ship, every rule is proven"),
        ((20, 20, 898), "### ⏸ digits: cannot tell yet, `not_worse accuracy`, `better accuracy`"),
        (
            (10, 80, 898),
            "### ❌ digits: must not ship, `not_worse accuracy`, `slices group=all`, `better accuracy`",
        ),
    ],
)
def test_the_first_line_answers(evidence, counts, headline):
    _, page = report(GATE, evidence(*counts))
    assert page.splitlines()[0] == headline


def test_every_finding_is_in_the_table_and_explained(evidence):
    decision, page = report(GATE, evidence(20, 20, 898))
    for found in decision.findings:
        assert f"| {found.check} | {found.verdict} |" in page
        assert found.because in page
        if found.n_needed:
            assert f"{found.n_needed:,}" in page


def test_nulls_and_budget_are_said_in_words(evidence):
    _, page = report(GATE, evidence(20, 20, 898))
    assert (
        "- `not_worse accuracy` (exact) passes by refuting: the accuracy is 2 pp or more below live." in page
    )
    assert "- `churn` (exact) passes by refuting: more than 20.0% of the answers change." in page
    assert "Submission 1 of 32 on this test set, passing tested at error 0.000781" in page
    assert "simpler dummy" not in page


def test_the_first_release_speaks_of_the_dummy_only(evidence):
    _, page = report(GATE, Evidence(evidence(0, 20, 898).candidate, None))
    assert "against nothing live" in page
    assert "`simpler dummy` (exact)" in page
    assert "not_worse" not in page


def test_a_spent_budget_has_no_table(evidence):
    gate = Gate(submissions=1)
    first, _ = report(gate, evidence(90, 5, 898))
    _, page = report(gate, evidence(91, 5, 898), [first])
    assert page.startswith("### ⏸ digits: cannot tell yet, `budget`")
    assert "|" not in page
    assert "fresh labels needed" in page


def test_a_slice_cannot_break_the_table(grouped):
    gate = Gate(rule=(Slices(by=("group",)),))
    _, page = report(gate, grouped(("a|b\n`c`", 0, 40, 200)))
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert "a\\|b 'c'" in rows[-1]
