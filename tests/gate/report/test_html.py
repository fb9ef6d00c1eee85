"""The HTML: one file that asks for nothing, says the same as the Markdown, and lets no text become markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.gate.report import render_html
from tidegate.gate.report.html import PICTURES
from tidegate.gate.report.record import Confusion, Rows
from tidegate.gate.report.sections import sections
from tidegate.gate.report.sentence import clean

VOID = {"meta", "img", "path", "circle", "rect"}


class Page(HTMLParser):
    """What a browser would meet: tags with their attributes in order, texts by the id of their section."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.texts, self.data, self._section = [], [], {}, {}, ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.tags.append((tag, tuple(name for name in known if name != "class")))
        if tag == "section":
            self._section = known["id"]
        if "data-plot" in known:
            self.data.setdefault(self._section, []).append(json.loads(known["data-plot"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        key = inside if inside in ("style", "script", "title") else self._section
        self.texts[key] = " ".join(f"{self.texts.get(key, '')} {data}".split())

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def test_every_tag_is_closed_and_every_section_there(samples):
    for report in samples.values():
        page = Page(render_html(report))
        assert page.open == []
        assert [key for key in page.texts if key not in ("", "style", "script", "title")] == [
            section.key for section in sections(report) if section.key != "steps"
        ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blocked", "Do not merge accuracy is worse than live, -2.6 pp"),
        ("passing", "You may merge every rule is proven"),
        ("underpowered", "Cannot tell yet churn needs 410 more labels"),
        ("first", "You may merge a first release"),
        ("failed", "Do not merge 1 complaint of the style check 2 of 3 tests fail"),
        ("nothing", "Cannot tell nothing was checked"),
    ],
)
def test_the_page_opens_with_the_answer(samples, name, said):
    page = Page(render_html(samples[name]))
    assert page.texts[""].startswith(f"digits {said}")
    assert page.texts["title"].startswith("digits: ")


def test_the_page_asks_the_network_for_nothing(blocked):
    html = re.sub(r"<script>.*?</script>", "", render_html(blocked), flags=re.DOTALL)
    assert re.findall(r"""(?:src|href|action|srcset)=(?!"data:image/png;|"#)""", html) == []
    assert "@import" not in html
    assert "<link" not in html


def test_the_policy_names_its_own_style_and_script_alone(blocked):
    html = render_html(blocked)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for kind in ("style", "script"):
        body = re.search(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)[1]
        known = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{known}'" in policy


def test_plots_draw_what_the_tables_say(blocked):
    points, numbers = Page(render_html(blocked)).data["metrics"]
    assert points["rows"][0] == {
        "name": "accuracy", "tone": "bad", "value": -2.56, "low": -4.12, "high": -1.19, "bound": -1.0,
    }  # fmt: skip
    assert [row["name"] for row in numbers["rows"]] == ["log_loss", "brier", "calibration_error"]
    (slices,) = Page(render_html(blocked)).data["slices"]
    assert len(slices["rows"]) == len(blocked.slices)


def test_a_regression_has_slices_in_its_own_unit(blocked):
    report = replace(blocked, candidate=replace(blocked.candidate, task="regression"))
    (plot,) = Page(render_html(report)).data["slices"]
    assert plot["title"] == "Change of mean absolute error against live"
    assert plot["rows"][0]["value"] == blocked.slices[0].change


def test_a_metric_of_two_rules_is_drawn_once(blocked):
    floor = replace(blocked.comparisons[0], rule="at least 80.0%", low=-0.03, high=-0.02)
    page = Page(render_html(replace(blocked, comparisons=(floor, *blocked.comparisons))))
    rows = page.data["metrics"][0]["rows"]
    assert [row["name"] for row in rows] == ["accuracy", "f1_macro", "balanced_accuracy"]
    assert rows[0]["low"] == -4.12


def test_nothing_to_plot_leaves_no_plot(first, nothing):
    assert Page(render_html(first)).data == Page(render_html(nothing)).data == {}


def test_rows_show_their_pictures(blocked):
    page = Page(render_html(blocked))
    assert page.count("img") == 9 + 24 + 3
    assert "8 more rows" in page.texts["broken"]
    assert "24 of 32 shown." in page.texts["broken"]


def test_a_page_with_large_pictures_stays_small(blocked):
    large = "data:image/png;base64," + "A" * 100_000
    shown = tuple(replace(row, picture=large) for row in blocked.broken.shown)
    html = render_html(replace(blocked, broken=Rows(36, shown)))
    assert len(html.encode()) < 1_500_000
    assert html.count("no picture") == len(shown) - PICTURES // len(large)


def test_only_pictures_are_pictures(hostile):
    for picture in ("javascript:alert(1)", "https://a.b/c.png", "data:text/html;base64,AAAA"):
        assert Page(render_html(hostile("x", picture))).count("img") == 0


def test_confusions_are_a_square_colored_by_who_gained(blocked):
    html = render_html(blocked)
    assert 'class="bad shade-3 " title="truth 8, answered 1: live 2, candidate 7">+5<' in html
    assert 'class="bad shade-4 diagonal" title="truth 8, answered 8: live 84, candidate 77">-7<' in html
    assert 'class="good shade-1 diagonal" title="truth 4, answered 4: live 88, candidate 89">+1<' in html


def test_classes_are_in_the_order_of_their_numbers(blocked):
    confusion = tuple(Confusion(name, "b", 3, None) for name in ("10", "9", "a"))
    html = render_html(replace(blocked, confusion=confusion))
    square = html[html.index('class="matrix"') :]
    assert re.findall(r'<th scope="row"><code>(\w+)', square)[:4] == ["9", "10", "a", "b"]
    assert "How often the candidate answers so" in square


def test_too_many_classes_are_a_table(blocked):
    confusion = tuple(Confusion(f"{n}", f"{n}", 3, 1) for n in range(60))
    html = render_html(replace(blocked, confusion=confusion))
    assert 'class="matrix"' not in html
    assert "<code>59</code>" in html


def test_each_table_has_a_caption_and_its_heads(blocked):
    page = Page(render_html(blocked))
    assert page.count("caption") == page.count("table") >= 6
    assert all("scope" in names for tag, names in page.tags if tag == "th")


@settings(max_examples=40)
@given(text=st.text(max_size=40) | st.text(alphabet="`<>\"'&/= axon1", max_size=20))
@example(text="</script><script>alert(1)</script>")
@example(text='" onload="alert(1)')
@example(text="<!--<script>")
@example(text="{{ 7 * 7 }}{% raw %}")
@example(text="a\x00b\ud800\u202e")
def test_no_text_becomes_markup(hostile, text):
    assume(clean(text).strip("` "))
    page, harmless = Page(render_html(hostile(text))), Page(render_html(hostile("x")))
    assert [tag for tag in page.tags if tag[0] != "code"] == [
        tag for tag in harmless.tags if tag[0] != "code"
    ]
    assert page.texts["script"] == harmless.texts["script"]
