import copy
import subprocess
import sys

import pytest

from tidegate.errors import NotFoundError
from tidegate.pipeline.expand import Resolved, expand_pipeline, expand_values
from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.template import FlagStyle

PARAMS = {"lr": 1, "on": True, "models": ["a", "b"], "sizes": {"s": {"n": 1}}, "rows": [{"n": 1}, {"n": 2}]}
FILES = {"params.yaml": PARAMS, "sub/vars.yaml": {"inner": 3}, "deep/params.yaml": {"lr": 9}}


def read(at):
    if at not in FILES:
        raise NotFoundError(at, "no such file")
    return FILES[at]


def never(at):
    raise AssertionError(f"{at} was read")


def expand(stages, **more):
    return expand_pipeline({"stages": stages}, folder="", read=read, **more)


def commands(stages):
    return {name: one.definition["cmd"] for name, one in expand(stages).items()}


def test_a_plain_pipeline_is_returned_as_it_is_and_reads_no_file():
    stage = {"cmd": "echo $HOME", "deps": ["a"]}
    found = expand_pipeline({"stages": {"a": stage, 1: stage}}, folder="", read=never)
    assert found == {
        "a": Resolved(stage, ("stages", "a"), ""),
        "1": Resolved(stage, ("stages", "1"), ""),
    }
    assert found["a"].definition is stage
    assert expand_pipeline({}, folder="", read=never) == {}


def test_a_plain_pipeline_imports_no_rules_of_templates():
    code = """
import sys
from tidegate.pipeline.expand import expand_pipeline, expand_values
document = {"stages": {"a": {"cmd": "x"}}, "metrics": ["m"]}
expand_pipeline(document, folder="", read=None)
expand_values(document, folder="", read=None)
print(*(name for name in sys.modules if name.startswith("tidegate.pipeline.")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["tidegate.pipeline.expand", "tidegate.pipeline.faults"]


def test_every_field_of_a_stage_is_filled_in():
    stage = {"cmd": ["x ${lr}", "\\${HOME}"], "deps": ["${models[0]}"], "meta": {"${models[1]}": "${on}"}}
    wanted = {"cmd": ["x 1", "${HOME}"], "deps": ["a"], "meta": {"b": True}}
    assert expand({"a": stage}) == {"a": Resolved(wanted, ("stages", "a"), "")}


def test_the_files_of_a_folder_are_beside_its_dvc_yaml():
    found = expand_pipeline({"stages": {"a": {"cmd": "x ${lr}"}}}, folder="deep", read=read)
    assert found["a"].definition == {"cmd": "x 9"}


def test_vars_of_a_stage_are_its_own_and_their_files_lie_in_its_directory():
    stages = {
        "a": {"wdir": "${where}", "vars": ["vars.yaml", {"v": 2}], "cmd": "x ${inner} ${v}"},
        "b": {"vars": [{"v": 3}], "cmd": "x ${v}"},
    }
    found = expand_pipeline({"vars": [{"where": "sub"}], "stages": stages}, folder="", read=read)
    assert found["a"].definition == {"wdir": "sub", "cmd": "x 3 2"}
    assert found["b"].definition == {"cmd": "x 3"}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ([1, "b", True, None], {"g@1": "1 -", "g@b": "b -", "g@true": "true -", "g@None": "None -"}),
        (["${on}", "m-${on}"], {"g@True": "true -", "g@m-true": "m-true -"}),
        ("${models}", {"g@a": "a -", "g@b": "b -"}),
        ({"k": 1, 2: "x"}, {"g@k": "1 -", "g@2": "x -"}),
        ([], {}),
    ],
)
def test_foreach_makes_a_stage_for_each_item(data, wanted):
    assert commands({"g": {"foreach": data, "do": {"cmd": "${item} -"}}}) == wanted


def test_foreach_numbers_composite_items_and_names_the_keys_of_a_mapping():
    assert commands({"g": {"foreach": "${rows}", "do": {"cmd": "x ${item.n}"}}}) == {
        "g@0": "x 1",
        "g@1": "x 2",
    }
    found = expand({"g": {"foreach": "${sizes}", "do": {"cmd": "x ${key} ${item}"}}})
    assert found == {"g@s": Resolved({"cmd": "x s --n 1"}, ("stages", "g", "do"), "g")}


def test_matrix_makes_a_stage_for_each_combination():
    stage = {
        "matrix": {"m": "${models}", "o": [1, {"k": 2}], "f": ["${on}", True]},
        "cmd": "${key} ${item.m}",
    }
    names = [
        "a-1-True",
        "a-1-true",
        "a-o1-True",
        "a-o1-true",
        "b-1-True",
        "b-1-true",
        "b-o1-True",
        "b-o1-true",
    ]
    found = expand({"g": stage})
    assert list(found) == [f"g@{name}" for name in names]
    assert found["g@b-o1-true"] == Resolved({"cmd": "b-o1-true b"}, ("stages", "g"), "g")


def test_an_axis_may_be_a_mapping_for_its_keys():
    assert commands({"g": {"matrix": {"s": "${sizes}"}, "cmd": "x ${item.s}"}}) == {"g@s": "x s"}


def test_the_document_is_not_changed():
    document = {"vars": [{"v": {"x": 1}}], "stages": {"g": {"matrix": {"m": [1]}, "cmd": "x ${v.x}"}}}
    before = copy.deepcopy(document)
    expand_pipeline(document, folder="", read=read)
    assert document == before


def test_flags_follow_the_style():
    found = expand(
        {"a": {"cmd": "x ${flags}", "vars": [{"flags": {"f": False}}]}}, style=FlagStyle("boolean_optional")
    )
    assert found["a"].definition["cmd"] == "x --no-f"


@pytest.mark.parametrize(
    ("stages", "place", "found"),
    [
        ({"a@b": {"cmd": "x"}}, ("a@b",), "`@` in the name `a@b`"),
        ({"a": {"cmd": "x", "deps": ["y", "${mdls}"]}}, ("a", "deps", 1), "`mdls` is not defined"),
        ({"a": {"do": {"cmd": "x"}}}, ("a",), "no `foreach`, expected `foreach` and `do` together"),
        ({"a": {"foreach": [1]}}, ("a",), "no `do`"),
        ({"a": {"foreach": 1.5, "do": {}}}, ("a", "foreach"), "`1.5` found, expected a list or a mapping"),
        ({"a": {"foreach": "${no}", "do": {}}}, ("a", "foreach"), "`no` is not defined"),
        ({"a": {"foreach": [""], "do": {}}}, ("a", "foreach"), "would have no name"),
        ({"a": {"foreach": ["b@c"], "do": {}}}, ("a", "foreach"), "`b@c` would be a stage's name"),
        (
            {"a": {"foreach": "${rows}", "do": {"cmd": "${item.m}"}}},
            ("a", "do", "cmd"),
            "in stage `a@0`: `item.m` is not defined, did you mean `item.n`?",
        ),
        (
            {"a": {"foreach": [1], "do": {"vars": [{"item": 1}], "cmd": "x"}}},
            ("a", "do", "vars", 0),
            "`item` is set by foreach or matrix",
        ),
        ({"a": {"matrix": {}, "foreach": [1]}}, ("a", "foreach"), "expected one or the other"),
        ({"a": {"matrix": [1], "cmd": "x"}}, ("a", "matrix"), "a list found, expected a mapping"),
        ({"a": {"foreach": None, "do": {}}}, ("a", "foreach"), "nothing found, expected a list"),
        ({"a": {"matrix": {"m": "abc"}, "cmd": "x"}}, ("a", "matrix", "m"), "`abc` found, expected a list"),
        ({"a": {"matrix": {}, "cmd": "x"}}, ("a", "matrix"), "would have no name"),
    ],
)
def test_what_cannot_be_expanded_is_named_with_its_place(stages, place, found):
    with pytest.raises(FaultError) as fault:
        expand(stages)
    assert fault.value.place == ("stages", *place)
    assert found in fault.value.message


def test_the_lists_beside_the_stages_are_filled_in_and_may_hold_lists():
    document = {
        "metrics": ["${models[0]}"],
        "plots": ["p", "${models}"],
        "artifacts": {"${models[1]}": {"path": "x"}},
    }
    wanted = {"metrics": ["a"], "plots": ["p", ["a", "b"]], "artifacts": {"b": {"path": "x"}}}
    assert expand_values(document, folder="", read=read) == wanted
    assert expand_values({"metrics": ["m"], "plots": None}, folder="", read=never) == {"metrics": ["m"]}
    with pytest.raises(FaultError, match="expected text as the name"):
        expand_values({"artifacts": {"${lr}": {"path": "x"}}}, folder="", read=read)
