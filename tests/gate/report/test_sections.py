"""The sections before they have a form: what is said of odd numbers, missing ends and empty columns."""

import pytest
from msgspec.structs import replace

from tidegate.gate.report.causes import took
from tidegate.gate.report.record import Budget, Report
from tidegate.gate.report.section import Row, Section, left_out, narrowed, numeric
from tidegate.gate.report.sections import identity, sections
from tidegate.gate.report.verdicts import change_of


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, ""), (0.04, "0.0 s"), (0.4, "0.4 s"), (38.4, "38 s"), (61, "1 min 01 s"), (3725, "1 h 02 min")],
)
def test_durations_are_said_for_people(seconds, said):
    assert took(seconds) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.0412, -0.0119, "-2.6 [-4.1, -1.2] pp"),
        (None, -0.0119, "-2.6 [unbounded, -1.2] pp"),
        (-0.0412, None, "-2.6 [-4.1, unbounded] pp"),
        (None, None, "-2.6 pp"),
    ],
)
def test_a_change_is_said_with_the_ends_that_it_has(blocked, low, high, said):
    assert change_of(replace(blocked.comparisons[0], low=low, high=high), "share") == said


def test_a_change_of_a_size_is_a_size(blocked):
    size = blocked.comparisons[4]
    assert change_of(replace(size, change=14_000.0), size.unit) == "14 kB"
    assert change_of(size, size.unit) == ""


def test_columns_that_say_nothing_vanish():
    section = Section("a", "A", (Row(("x", "", "1")), Row(("y", "", "2"))), ("one", "two", "three"))
    assert narrowed(section).columns == ("one", "three")
    assert narrowed(section).rows[0].cells == ("x", "1")


def test_columns_of_numbers_are_known_by_their_cells():
    rows = (Row(("8%", "`8`", "+1.2 [0.1, 2] pp", "")), Row(("", "8", "412 kB", "")))
    assert numeric(Section("a", "A", rows, ("a", "b", "c", "d"))) == (True, False, True, True)


def test_rows_left_out_are_counted():
    assert left_out(Section("a", "A", (Row(("x",)),), total=1_200)) == "1 of 1,200 shown."
    assert left_out(Section("a", "A", (Row(("x",)),))) == ""


def test_a_spent_budget_asks_for_labels():
    (found,) = sections(Report("digits", "", 0.0, budget=Budget(12, 12, 3, 0.0)))
    assert found.title == "Test budget: 0 of 12 submissions left"
    assert found.rows[-1].cells == ("Fresh labels are needed.",)


def test_identity_says_what_was_compared(blocked, nothing):
    assert identity(nothing) == ()
    assert identity(blocked) == (
        "commit `9b1e2f1c0d7a`", "against live `v12`", "test set `8c1fe2a9b0d3`", "898 rows", "took 38 s",
        "2026-03-01 12:02 UTC",
    )  # fmt: skip


def test_every_form_has_the_sections_of_a_rich_report_in_their_order(blocked):
    assert [section.key for section in sections(blocked)] == [
        "metrics", "findings", "slices", "merge", "broken", "fixed", "confusion", "suspects", "data", "params",
        "stages", "steps", "budget", "tested", "uncovered",
    ]  # fmt: skip
