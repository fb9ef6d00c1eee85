"""The Markdown: its first line answers, it says all that the record says, it fits, and no text breaks out."""

import re
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.gate.report import render_markdown
from tidegate.gate.report.markdown import LIMIT
from tidegate.gate.report.record import Case, Report, Step
from tidegate.gate.report.sentence import clean

TAGS = {
    "h3", "p", "strong", "em", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary",
}  # fmt: skip
ATTACKS = (
    "a|b", "`", "``a`", "`a` b `", "\\", "a\\|b\\", "<script>alert(1)</script>", "<!-- ", "</details>", "<b",
    "&lt;b&gt;", "&#124;",
    "[a](http://x.y)", "![a](http://x.y)", "[a]: http://x.y", "https://x.y/z", "www.x.yz", "a@x.yz", "@everyone",
    "#12", "x/y#12", "- a", "1. a", "# a", "> a", "---", "===", "```", "~~~", "    a", "[ ] a", "[^1]: a",
    "*a*", "_a_",
    "**a", "~a~", "$a$", "/close", "a\n\n# b", "a\n| b | c |", "\u202eabc", "a\x00b", "\ud800", "|" * 40, "-", "+",
    "9)", ":smile:", "a`1",
)  # fmt: skip


class Seen(HTMLParser):
    """The tags in their order, and the text that is not code."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.codes, self._depth = [], "", [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._depth += tag == "code"
        if tag == "code":
            self.codes.append("")
            self.text += "\0"
        else:
            self.tags.append(tag)

    def handle_endtag(self, tag):
        self._depth -= tag == "code"
        if tag != "code":
            self.tags.append(f"/{tag}")

    def handle_data(self, data):
        if self._depth:
            self.codes[-1] += data
        else:
            self.text += data

    def handle_comment(self, data):
        self.tags.append("comment")


def seen(page):
    return Seen(cmarkgfm.github_flavored_markdown_to_html(page, Options.CMARK_OPT_UNSAFE))


def headline(report):
    return render_markdown(report).splitlines()[0]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "blocked",
            "### ❌ digits: do not merge: `accuracy` is worse than live, -2.6 pp; "
            "the model got worse on `label=8`, -7.9 pp",
        ),
        ("passing", "### ✅ digits: you may merge: every rule is proven"),
        ("underpowered", "### ⏸ digits: cannot tell yet: `churn` needs 410 more labels"),
        (
            "first",
            "### ✅ digits: you may merge: a first release, every rule that needs no live model is proven",
        ),
        (
            "hidden",
            "### ❌ digits: do not merge: `accuracy` is worse than live; the model got worse on `label=8`",
        ),
        ("failed", "### ❌ digits: do not merge: 1 complaint of the style check; 2 of 3 tests fail"),
        ("nothing", "### ⏸ digits: cannot tell: nothing was checked"),
    ],
)
def test_the_first_line_answers(samples, name, line):
    assert headline(samples[name]) == line


def test_the_table_holds_each_metric_beside_live(blocked):
    page = render_markdown(blocked)
    assert "| metric | live v12 | candidate | change (95 % interval) | rule | verdict |" in page
    assert (
        "| `accuracy` | 96.7% | 94.1% | -2.6 [-4.1, -1.2] pp | at most 1 pp below live | ❌ blocks |" in page
    )
    assert "| `churn` |  | 6.5% |  | at most 10.0% of answers change | ⏸ needs 410 more labels |" in page
    assert "| `log_loss` (less is better) | 0.1402 | 0.2311 | +0.0909 [0.0512, 0.1333] |  |  |" in page
    assert "| `labels` |  | 6.1% |  | at most 5.0% of truths look wrong | ⚠️ warns |" in page


def test_every_finding_is_explained(blocked):
    page = seen(render_markdown(blocked)).text
    for found in blocked.decision.findings:
        assert f": {found.because}" in page


def test_what_changed_and_why_is_folded_below(blocked):
    page = render_markdown(blocked)
    for summary in (
        "32 rows newly wrong", "9 rows fixed", "Confusions that changed", "4 suspect labels", "Data that changed",
        "Params that changed", "Steps", "Stages", "Test budget: 23 of 32 submissions left", "What was tested",
        "Not covered",
    ):  # fmt: skip
        assert f"<details><summary>{summary}</summary>" in page
    assert "| `8` | `1` | 2 | 7 | +5 |" in page
    assert (
        "| `data/raw/digits.csv` | `8c1f0b2e` | `b2aa91c0` | +212 rows; `scanner` has a new value `c` |"
        in page
    )
    assert "| `params.yaml:scale` | `16` | `15` |" in page
    assert (
        "- `not_worse accuracy` (exact) passes by refuting: the accuracy is 1 pp or more below live." in page
    )
    assert "Slices that nobody listed" in page
    assert "24 of 32 shown. The HTML report shows their pictures." in page.replace("\n\n", " ")
    assert "data:image" not in page


def test_failures_come_before_the_table_with_their_places(failed):
    page = render_markdown(failed)
    assert "- ❌ `test_scale` at `tests/test_train.py:12`: assert 15 == 16" in page
    assert page.index("**What failed**") < page.index("**Metrics**")
    assert "- tests: ended otherwise 2 times before on the same inputs" in page


def test_a_first_release_has_no_column_for_live(first):
    page = render_markdown(first)
    assert "nothing is live yet" in page
    assert "| metric | candidate |" in page


def test_hidden_numbers_leave_no_empty_columns(hidden):
    page = render_markdown(hidden)
    assert "| metric | rule | verdict |" in page
    assert "no number of it leaves the gate" in page
    assert "slices" not in page.split("**What each rule found**")[0]


def test_nothing_leaves_nothing_but_the_answer(nothing):
    assert render_markdown(nothing) == "### ⏸ digits: cannot tell: nothing was checked\n"


def test_what_could_not_be_measured_is_said(blocked):
    candidate = replace(blocked.candidate, missing={"auc": "it needs scores"})
    page = render_markdown(replace(blocked, candidate=candidate, missing=("no data of live is cached",)))
    assert "- no data of live is cached\n- `auc` is not measured: it needs scores" in page


def test_a_page_without_end_is_cut_from_the_least_important(blocked):
    long = "é|`@x" * 100
    many = Report(
        "digits", "", 0.0, decision=blocked.decision, comparisons=blocked.comparisons * 500,
        slices=tuple(replace(blocked.slices[0], name=f"{long}{n}") for n in range(1000)),
        broken=replace(blocked.broken, shown=blocked.broken.shown * 50), data=blocked.data * 1000,
        confusion=blocked.confusion * 500, stages=tuple(replace(blocked.stages[0], name=long) for _ in range(1000)),
        steps=(Step("tests", "failed", "", 1.0, tuple(Case(long, "failed", long, long, 1) for _ in range(1000))),),
        merge=(long,) * 1000,
    )  # fmt: skip
    page = render_markdown(many)
    assert len(page.encode()) <= LIMIT
    assert "| `accuracy` | 96.7% | 94.1% |" in page
    assert "of 1,000 shown." in page


@settings(max_examples=30)
@given(copies=st.integers(0, 300), cases=st.integers(0, 300), text=st.sampled_from(ATTACKS))
def test_the_page_always_fits(hostile, copies, cases, text):
    report = hostile(text * 50)
    step = replace(report.steps[0], cases=report.steps[0].cases * cases)
    grown = replace(
        report, steps=(step,), comparisons=report.comparisons * copies, slices=report.slices * copies,
        data=report.data * copies, merge=report.merge * copies, missing=report.missing * copies,
    )  # fmt: skip
    assert len(render_markdown(grown).encode()) <= LIMIT


def every(*texts):
    def wrap(test):
        for text in texts:
            test = example(text=text)(test)
        return test

    return wrap


@given(text=st.text(max_size=40) | st.text(alphabet="`|\\<>[]()*_~@#-\n !&ax1", max_size=20))
@every(*ATTACKS)
def test_no_text_changes_the_shape_of_the_page(hostile, text):
    assume(clean(text).strip("` "))
    page, harmless = seen(render_markdown(hostile(text))), seen(render_markdown(hostile("x")))
    assert page.tags == harmless.tags
    assert set(harmless.tags) <= TAGS | {f"/{tag}" for tag in TAGS}


@given(text=st.text(alphabet="`|\\<>[]()*_~@#!$%^& ax1", max_size=20))
@every(*ATTACKS)
def test_no_text_names_anybody_or_links_anywhere(hostile, text):
    said = seen(render_markdown(hostile(text))).text
    assert not re.search(r"[@#!~$^&]\w|://|\bwww\.", said)


@given(text=st.text(alphabet="|<>[]()*_~@# ax1", min_size=1, max_size=20))
def test_names_are_read_as_they_are(hostile, text):
    assume(text == clean(text))
    assert text in seen(render_markdown(hostile(text))).codes
