import pytest

from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.template import FlagStyle, Scope, as_text, has_template, interpolate, is_template

VALUES = {
    "lr": 0.001,
    "tiny": 0.00001,
    "flag": True,
    "none": None,
    "text": "a b",
    "list": [1, {"k": ["deep"]}],
    "args": {
        "lr": 0.1,
        "on": True,
        "off": False,
        "name": "it's",
        "tags": ["a b", 1, None, True],
        "sub": {"k": None},
    },
    "rows": {"r": [[1]]},
}


def fill(value, field="desc", style=None):
    return interpolate(value, Scope(VALUES, field, style or FlagStyle()), ("stages", "a", field))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        (3, 3),
        ("${lr}", 0.001),
        ("${flag}", True),
        ("${none}", None),
        ("x ${flag} ${none} ${lr} ${tiny}", "x true None 0.001 1e-05"),
        ("${text}${text}", "a ba b"),
        ("${list[0]}", 1),
        ("${ list [1] .k[-1] }", "deep"),
        ("${list.1.k.0}", "deep"),
        ("\\${HOME}", "${HOME}"),
        ("\\${HOME} ${lr} $HOME", "${HOME} 0.001 $HOME"),
        ("${unfinished", "${unfinished"),
        ("${lr}}", "0.001}"),
        ({"${text}": ["${lr}", {"k": "${flag}"}]}, {"a b": [0.001, {"k": True}]}),
    ],
)
def test_a_template_alone_keeps_the_type_and_within_a_text_becomes_text(text, wanted):
    assert repr(fill(text)) == repr(wanted)


@pytest.mark.parametrize(
    ("style", "wanted"),
    [
        (FlagStyle(), "x --lr 0.1 --on --name 'it'\"'\"'s' --tags 'a b' 1 None True --sub.k None"),
        (
            FlagStyle("boolean_optional", "append"),
            "x --lr 0.1 --on --no-off --name 'it'\"'\"'s' --tags 'a b' --tags 1 --tags None --tags True --sub.k None",
        ),
    ],
)
def test_a_mapping_within_a_command_becomes_flags(style, wanted):
    assert fill("x ${args}", "cmd", style) == wanted


@pytest.mark.parametrize(
    ("value", "field", "place", "found", "hint"),
    [
        ("${lrr}", "desc", (), "`lrr` is not defined, did you mean `lr`?", "params.yaml or `vars`"),
        ("${args.nam}", "desc", (), "did you mean `args.name`?", "params.yaml"),
        ("${list[2]}", "desc", (), "`list.2` is not defined, `list` is a list of 2", ""),
        ("${list[x]}", "desc", (), "`list` is a list of 2", ""),
        ("${lr.x}", "desc", (), "`lr` is a single value", ""),
        (["a", "x ${}"], "desc", (1,), "`${}` is not a template", "`\\${NAME}`"),
        ("${a..b}", "desc", (), "is not a template", ""),
        ("${list[0}", "desc", (), "is not a template", ""),
        ("${list[0]x}", "desc", (), "is not a template", ""),
        ({"k": "${list}"}, "desc", ("k",), "`${list}` is a list, expected a single value", "`${list[0]}`"),
        ({"${no}": 1}, "desc", ("${no}",), "`no` is not defined", ""),
        ("x ${list}", "cmd", (), "is a list", ""),
        ("x ${args}", "desc", (), "is a mapping, expected a single value", ""),
        ("${args}", "cmd", (), "`${args}` alone is a mapping", "python train.py ${args}"),
        ("x ${rows}", "cmd", (), "`r` is nested in a list", ""),
    ],
)
def test_what_cannot_be_filled_in_is_named_with_its_place(value, field, place, found, hint):
    with pytest.raises(FaultError) as fault:
        fill(value, field)
    assert fault.value.place == ("stages", "a", field, *place)
    assert found in fault.value.message
    assert hint in fault.value.hint


def test_data_may_be_lists_and_mappings():
    assert fill("${list}", "") == VALUES["list"]
    assert fill("x ${list[1].k}", "") == "x ['deep']"


def test_what_a_template_is():
    assert has_template({"a": ["x", {"y ${b}": 1}]})
    assert not has_template({"a": ["\\${b}", 1, None]})
    assert is_template("${a}")
    assert not any(map(is_template, ["${a}${b}", "x ${a}", "\\${a}", "${a}}", 1]))
    assert [as_text(value) for value in (True, False, None, 1.0)] == ["true", "false", "None", "1.0"]
