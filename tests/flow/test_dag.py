from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import NotFoundError, UsageError
from tidegate.flow.dag import Asked, Needs, dag, edges, pipelines, render_dot, render_mermaid, render_tree

PIPELINE = """\
stages:
  first: {cmd: x, outs: [raw]}
  part:
    foreach: [a, b]
    do: {cmd: "x ${item}", deps: [raw], outs: ["part/${item}"]}
  last: {cmd: x, deps: [raw, part], outs: [end]}
  alone: {cmd: x}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a group in the middle and a stage beside."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    return tmp_path


@st.composite
def graphs(draw: st.DrawFn) -> Needs:
    """Any graph in which needs come earlier."""
    count = draw(st.integers(0, 12))
    return {
        f"n{number}": tuple(
            sorted({f"n{draw(st.integers(0, number - 1))}" for _ in range(draw(st.integers(0, 3)))})
        )
        if number
        else ()
        for number in range(count)
    }


def test_all_stages_in_order(root: Path):
    assert dag(root, Asked()) == {
        "first": (),
        "part@a": ("first",),
        "part@b": ("first",),
        "last": ("first", "part@a", "part@b"),
        "alone": (),
    }


def test_a_target_is_drawn_with_its_needs_or_with_all_it_is_connected_with(root: Path):
    assert list(dag(root, Asked("part@a"))) == ["first", "part@a"]
    assert list(dag(root, Asked("raw"))) == ["first"]
    assert list(dag(root, Asked("part@a", full=True))) == ["first", "part@a", "part@b", "last"]
    assert list(dag(root, Asked("part/a", outs=True))) == ["raw", "part/a"]
    with pytest.raises(NotFoundError, match="nobody"):
        dag(root, Asked("nobody"))


def test_groups_are_drawn_as_one(root: Path):
    assert dag(root, Asked(collapse=True)) == {
        "first": (),
        "last": ("first", "part"),
        "alone": (),
        "part": ("first",),
    }
    with pytest.raises(UsageError, match="one of them"):
        dag(root, Asked(collapse=True, outs=True))


def test_names_are_seen_from_where_one_stands(root: Path):
    (root / "sub").mkdir()
    assert list(dag(root, Asked("../dvc.yaml:first", here="sub"))) == ["../dvc.yaml:first"]
    assert list(dag(root, Asked("../raw", here="sub", outs=True))) == ["../raw"]


def test_the_tree_shows_sources_first_and_nothing_twice():
    tree = render_tree({"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",), "x": ()})
    assert tree.splitlines() == [
        "a",
        "├─ b",
        "│  └─ d",
        "│     └─ e",
        "└─ c",
        "   └─ d (above)",
        "",
        "x",
    ]


def test_a_circle_of_groups_is_drawn_too():
    assert render_tree({"x": ("y", "x"), "y": ("x",)}) == "x\n└─ y\n   └─ x (above)"


def test_quotes_in_names_are_escaped():
    assert '"say \\"hi\\"";' in render_dot({'say "hi"': ()})


@given(graphs())
def test_every_way_of_drawing_holds_every_node(needs: Needs):
    tree = {line.lstrip("│├└─ ").removesuffix(" (above)") for line in render_tree(needs).splitlines() if line}
    assert tree == set(needs)
    assert all(f'["{node}"]' in render_mermaid(needs) for node in needs)
    assert render_mermaid(needs).count("-->") == len(edges(needs))
    assert render_dot(needs).count("->") == len(edges(needs))


@given(graphs())
def test_pipelines_part_the_graph(needs: Needs):
    parts = pipelines(needs)
    assert {node: wanted for part in parts for node, wanted in part.items()} == needs
    assert all(set(wanted) <= set(part) for part in parts for wanted in part.values())
