import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tidegate.data.emit import apply_changes, dump_yaml, load_for_edit, render_yaml
from tidegate.data.yaml import parse_yaml
from tidegate.errors import UsageError

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=40) | st.text(
    "ab .-:#'\"", max_size=100
)
SCALARS = TEXTS | st.booleans() | st.integers() | st.none()
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
)
MAPPINGS = st.dictionaries(st.text("abc: ", min_size=1, max_size=6), VALUES, max_size=5)


@given(MAPPINGS)
def test_new_text_is_what_ruamel_writes(plain):
    assert render_yaml(plain) == dump_yaml(plain)


@given(MAPPINGS)
def test_new_text_reads_back(plain):
    assert YAML(typ="safe").load(render_yaml(plain)) == plain


@given(MAPPINGS, MAPPINGS)
def test_changes_reach_what_was_asked_for(old, new):
    loaded = load_for_edit(dump_yaml(old), "f")
    apply_changes(copy.deepcopy(new), loaded)
    assert loaded == new


# ruamel.yaml rounds the last digit of some floats that it loaded
@given(st.dictionaries(st.text("abc: ", min_size=1, max_size=6), SCALARS | st.lists(SCALARS), max_size=5))
def test_no_change_leaves_the_text(plain):
    text = dump_yaml(plain)
    loaded = load_for_edit(text, "f")
    apply_changes(plain, loaded)
    assert dump_yaml(loaded) == text


def test_what_stays_keeps_comments_and_order():
    text = '# head\nb: x  # why\nlist:\n- 1  # one\n- {k: "v"}\na: 1\n'
    loaded = load_for_edit(text, "f")
    apply_changes({"a": 2, "b": "x", "list": [1, {"k": "w"}], "new": True}, loaded)
    assert dump_yaml(loaded) == "# head\nb: x  # why\nlist:\n- 1  # one\n- {k: w}\na: 2\nnew: true\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "f:2:1: did not find expected ',' or ']', expected YAML"),
        ("- a\n", "f: a list found, expected a mapping"),
        ("just text", "f: a str found, expected a mapping"),
        ("a: 1\na: 2\n", "f:2:1: key `a` appears twice in one mapping, expected YAML"),
    ],
)
def test_what_is_no_mapping_is_refused(text, message):
    with pytest.raises(UsageError) as caught:
        load_for_edit(text, "f")
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "~"])
def test_an_empty_text_is_an_empty_mapping(text):
    assert load_for_edit(text, "f") == {}
    assert parse_yaml(text, "f") is None
