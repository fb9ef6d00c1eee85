import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.yaml import parse_yaml
from tidegate.errors import ConflictError, NotFoundError, UsageError
from tidegate.pipeline.edit import (
    NewOut,
    NewStage,
    add_stage,
    drop_lock_entries,
    join_command,
    params_by_file,
    remove_stage,
    set_frozen,
)

PIPELINE = """\
# head
vars: [v.yaml]
stages:
  # about a
  a:
    cmd: make a  # quick
    desc: the first
    deps: [z, b]
    outs:
    - one:
        desc: said
        remote: far
        push: false
    - two
    meta: {owner: ann}
  each:
    foreach: [1, 2]
    do:
      cmd: echo ${item}
"""


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], ""),
        (["python a.py  x"], "python a.py  x"),
        (["echo", "a b", "", 'say "x y"', "c"], 'echo "a b" "" say "x y" c'),
    ],
)
def test_words_make_one_command(words, command):
    assert join_command(words) == command


def test_params_are_gathered_by_file():
    options = ["lr", "train.a,train.b,", "other.yaml:x", "other.yaml:y", "whole.json:", "C:/p.yaml:k"]
    assert params_by_file(options) == {
        "params.yaml": ["lr", "train.a", "train.b"],
        "other.yaml": ["x", "y"],
        "whole.json": [],
        "C:/p.yaml": ["k"],
    }


def test_a_first_stage_makes_the_file():
    stage = NewStage(
        "train",
        "python train.py",
        wdir="./src/",
        deps=("b", "a"),
        params={"q.yaml": ["z", "y"], "params.yaml": ["lr"], "all.yaml": []},
        outs=(NewOut("m", "metrics", cache=False), NewOut("o", persist=True), NewOut("c", "plots")),
        always_changed=True,
        desc="it: trains",
    )
    assert add_stage("", stage) == (
        "stages:\n  train:\n    desc: 'it: trains'\n    cmd: python train.py\n    wdir: src\n    deps:\n    - a\n"
        "    - b\n    params:\n    - lr\n    - all.yaml:\n    - q.yaml:\n      - y\n      - z\n    outs:\n    - o:\n"
        "        persist: true\n    metrics:\n    - m:\n        cache: false\n    plots:\n    - c\n"
        "    always_changed: true\n"
    )


@pytest.mark.parametrize(
    "text", ["vars: [a.yaml]\n", "vars: [a.yaml]\nstages:\n", "vars: [a.yaml]\nstages: {}\n"]
)
def test_a_file_without_stages_gets_its_first(text):
    added = parse_yaml(add_stage(text, NewStage("a", "true")), "f")
    assert added == {"vars": ["a.yaml"], "stages": {"a": {"cmd": "true"}}}


def test_a_new_stage_comes_last_and_leaves_the_rest():
    added = add_stage(PIPELINE, NewStage("b", "make b"))
    assert added == PIPELINE + "  b:\n    cmd: make b\n"


def test_an_old_stage_is_replaced_only_by_force_and_what_was_said_of_it_stays():
    new = NewStage("a", "make", outs=(NewOut("one", cache=False), NewOut("three")))
    with pytest.raises(ConflictError, match=r"^dvc\.yaml: stage `a` exists already"):
        add_stage(PIPELINE, new)
    replaced = parse_yaml(add_stage(PIPELINE, new, force=True), "f")["stages"]["a"]
    remarks = {"desc": "said", "cache": False, "remote": "far", "push": False}
    assert replaced == {
        "cmd": "make",
        "desc": "the first",
        "outs": [{"one": remarks}, "three"],
        "meta": {"owner": "ann"},
    }
    said = add_stage(PIPELINE, new._replace(desc="new"), force=True)
    assert parse_yaml(said, "f")["stages"]["a"]["desc"] == "new"
    assert "  # about a\n" in said


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (NewStage("a", ""), "stage `a`: no command given, expected one after the options"),
        (NewStage("a.b", "x"), "--name: `a.b` found, expected letters, digits, `-` and `_`"),
        (NewStage("", "x"), "--name: `` found, expected letters, digits, `-` and `_`"),
        (NewStage("a", "x", deps=("d", "./d")), "stage `a`: lists `d` twice, expected each path once"),
        (
            NewStage("a", "x", outs=(NewOut("o"), NewOut("o/", "metrics"))),
            "stage `a`: lists `o` twice, expected each path once",
        ),
        (
            NewStage("a", "x", deps=("./o",), outs=(NewOut("o"),)),
            "stage `a`: lists `o` as read and written, a stage cannot read what it writes",
        ),
    ],
)
def test_what_no_stage_may_be_is_refused(stage, message):
    with pytest.raises(UsageError) as caught:
        add_stage("", stage)
    assert str(caught.value) == message


def test_freezing_changes_one_key_and_back():
    frozen = set_frozen(PIPELINE, "a", frozen=True)
    assert frozen == PIPELINE.replace(
        "    meta: {owner: ann}\n", "    meta: {owner: ann}\n    frozen: true\n"
    )
    assert set_frozen(frozen, "a", frozen=True) == frozen
    assert set_frozen(frozen, "a", frozen=False) == PIPELINE
    assert set_frozen(PIPELINE, "a", frozen=False) == PIPELINE


def test_freezing_a_foreach_freezes_all_that_it_makes():
    frozen = set_frozen(PIPELINE, "each", frozen=True)
    assert parse_yaml(frozen, "f")["stages"]["each"]["do"] == {"cmd": "echo ${item}", "frozen": True}
    assert set_frozen(frozen, "each", frozen=False) == PIPELINE


def test_a_removed_stage_is_gone_and_the_rest_stays():
    left = remove_stage(PIPELINE, "each")
    assert left == PIPELINE.partition("  each:")[0]
    assert remove_stage(left, "a") == "# head\nvars: [v.yaml]\n"
    assert remove_stage("stages:\n  a:\n    cmd: x\n", "a") is None


@pytest.mark.parametrize("edit", [lambda text, name: set_frozen(text, name, frozen=True), remove_stage])
def test_a_stage_that_is_not_there_is_named_with_the_nearest(edit):
    with pytest.raises(NotFoundError) as caught:
        edit(PIPELINE, "eahc")
    assert str(caught.value) == "dvc.yaml: no stage `eahc`, did you mean `each`?"
    with pytest.raises(NotFoundError):
        edit("", "a")
    with pytest.raises(UsageError, match=r"^dvc\.yaml:1:5"):
        edit("a: b: c", "a")


LOCK = "schema: '2.0'\nstages:\n  a:\n    cmd: x  # kept\n  b@1:\n    cmd: y\n  b@2:\n    cmd: z\n"


def test_lock_entries_go_with_their_stages_and_the_file_with_the_last():
    assert drop_lock_entries(LOCK, ["b@1", "b@2", "c"]) == LOCK.partition("  b@1")[0]
    assert drop_lock_entries(LOCK, ["c"]) == LOCK
    assert drop_lock_entries(LOCK, ["a", "b@1", "b@2"]) is None
    assert drop_lock_entries("", ["a"]) == ""
    kept = drop_lock_entries("schema: '2.0'\ndatasets:\n- {name: d}\nstages:\n  a: {cmd: x}\n", ["a"])
    assert kept == "schema: '2.0'\ndatasets:\n- {name: d}\n"


NAMES = st.text("abc-_1", min_size=1, max_size=8)
PATHS = st.lists(st.text("abc /:#é", min_size=1, max_size=8), max_size=3, unique=True).map(tuple)


@given(
    name=NAMES, cmd=st.text("ab $:'\n", min_size=1, max_size=90), deps=PATHS, desc=st.text("ab :", max_size=9)
)
def test_what_is_added_can_be_frozen_thawed_and_removed(name, cmd, deps, desc):
    try:
        added = add_stage("vars: [x]\n", NewStage(name, cmd, deps=deps, desc=desc))
    except UsageError:
        return
    plain = parse_yaml(added, "f")["stages"][name]
    assert plain == {
        key: value for key, value in (("desc", desc), ("cmd", cmd), ("deps", sorted(deps))) if value
    }
    frozen = set_frozen(added, name, frozen=True)
    assert parse_yaml(frozen, "f")["stages"][name] == {**plain, "frozen": True}
    assert parse_yaml(set_frozen(frozen, name, frozen=False), "f")["stages"][name] == plain
    assert remove_stage(frozen, name) == "vars: [x]\n"
