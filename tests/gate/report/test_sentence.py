"""Sentences with quoted parts: taken apart without loss, cleaned, escaped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.gate.report.sentence import LONGEST, cell, clean, markdown, parts, quote


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("plain", [("plain", False)]),
        ("a `b` c", [("a ", False), ("b", True), (" c", False)]),
        ("`a``b`", [("a", True), ("b", True)]),
        ("an odd ` one", [("an odd ` one", False)]),
        ("`a` and `b", [("a", True), (" and `b", False)]),
        ("", []),
    ],
)
def test_backticks_quote(sentence, found):
    assert list(parts(sentence)) == found


@given(st.text())
def test_quoted_text_is_one_part_whatever_it_holds(text):
    assert [is_code for _, is_code in parts(quote(text))] == [True]


@given(st.text(max_size=LONGEST))
def test_a_cleaned_line_prints_and_stays_so(text):
    seen = clean(text)
    assert seen == clean(seen)
    assert "\n" not in seen
    assert seen.replace("\u200c", "").replace("\u200d", "").isprintable()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\n\tb\r\n", "a b"),
        ("evil\u202etxt", "evil\ufffdtxt"),
        ("half \ud83d", "half \ufffd"),
        ("नमस्\u200dते 👩\u200d🔬", "नमस्\u200dते 👩\u200d🔬"),
        ("x" * 900, "x" * (LONGEST - 1) + "…"),
    ],
)
def test_what_nobody_should_meet_is_replaced(text, seen):
    assert clean(text) == seen


@pytest.mark.parametrize(
    ("sentence", "written"),
    [
        ("f1_macro 0.94 in [0.9, 1.0]", "f1_macro 0.94 in [0.9, 1.0]"),
        ("-2.6 pp", "-2.6 pp"),
        ("- a list", r"\- a list"),
        ("1. a list", r"1\. a list"),
        ("/merge", r"\/merge"),
        ("ask @team in #12", "ask @\u200bteam in \\#\u200b12"),
        ("see https://a.b or www.a.b", "see https:\u200b//a.b or www\u200b.a.b"),
        ("[a](b)", r"\[a\](b)"),
        ("_a_ *b* <c>", r"\_a\_ \*b\* \<c\>"),
        ("`a|*b*`", "`a|*b*`"),
    ],
)
def test_markdown_is_escaped_only_where_it_means_something(sentence, written):
    assert markdown(sentence) == written


def test_bars_stay_within_their_cell():
    assert cell("a|b `c|d` `e\\|f`") == r"a\|b `c\|d` `e\|f`"
