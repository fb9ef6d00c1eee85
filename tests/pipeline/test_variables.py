import pytest

from tidegate.errors import NotFoundError
from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.variables import Origin, add_variables, bind, load_variables

FILES = {
    "params.yaml": {"lr": 1, "train": {"trees": 2}, 5: "dropped"},
    "more.yaml": {"more": {"x": 1, 2: "dropped"}, "other": [{3: "dropped", "k": 1}]},
    "sub/params.yaml": {"local": True},
    "empty.yaml": None,
    "list.yaml": [1],
}
BOTH = {"lr": 1, "train": {"trees": 2}, "more": {"x": 1}, "other": [{"k": 1}]}


def read(at):
    if at not in FILES:
        raise NotFoundError(at, "no such file")
    return FILES[at]


def load(entries, folder=""):
    return load_variables(entries, Origin(("vars",), folder, read))


@pytest.mark.parametrize(
    ("entries", "folder", "wanted"),
    [
        ([], "", {"lr": 1, "train": {"trees": 2}}),
        ([], "sub", {"local": True}),
        ([], "elsewhere", {}),
        ([{"train": {"depth": 3}}], "", {"lr": 1, "train": {"trees": 2, "depth": 3}}),
        (["../more.yaml:other"], "sub", {"local": True, "other": [{"k": 1}]}),
        (["more.yaml:other", "more.yaml:more"], "x/..", BOTH),
        (["more.yaml", "./more.yaml", "params.yaml", "empty.yaml"], "", BOTH),
    ],
)
def test_values_merge_from_params_and_vars(entries, folder, wanted):
    assert load(entries, folder).values == wanted


@pytest.mark.parametrize(
    ("entries", "place", "found"),
    [
        ("more.yaml", (), "expected `vars` to be a list"),
        ([1], (0,), "`1` found, expected a file or a mapping"),
        ([{}, {"a": "${lr}"}], (1,), "a template in `vars`"),
        (["more.yml"], (0,), "no such file `more.yml`"),
        (["list.yaml"], (0,), "`list.yaml` holds a list, expected a mapping"),
        (["more.yaml:othr"], (0,), "no key `othr`, did you mean `other`?"),
        (["more.yaml:other,more", "more.yaml:more"], (1,), "loaded already (`other`, `more`)"),
        (["more.yaml:other", "more.yaml"], (1,), "loaded already (`other`)"),
        (["more.yaml", "more.yaml:other"], (1,), "loaded already (the whole file)"),
        ([{"lr": 1}], (0,), "`lr` of `vars` is set by `params.yaml` already"),
        (["more.yaml", {"more": {"x": 1}}], (1,), "`more.x` of `vars` is set by `more.yaml` already"),
        ([{"train": 1}], (0,), "`train` of `vars` is set by `params.yaml` already"),
    ],
)
def test_no_value_is_set_twice_and_every_file_is_there(entries, place, found):
    with pytest.raises(FaultError) as fault:
        load(entries)
    assert fault.value.place == ("vars", *place)
    assert found in fault.value.message


def test_a_bound_name_hides_a_variable_and_cannot_be_set_by_a_stage():
    bound = bind(load([{"item": 1}]), {"item": {"a": 2, 3: "dropped"}})
    assert bound.values["item"] == {"a": 2}
    with pytest.raises(FaultError, match="`item` is set by foreach or matrix"):
        add_variables(bound, [{"item": 2}], Origin(("stages", "a", "vars"), "", read))
