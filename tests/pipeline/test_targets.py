import pytest

from tidegate.errors import NotFoundError
from tidegate.pipeline.graph import build_graph
from tidegate.pipeline.index import Index
from tidegate.pipeline.parse import Base, parse_pipeline
from tidegate.pipeline.stages import Out, Stage
from tidegate.pipeline.targets import (
    Choice,
    address,
    choose_outs,
    choose_stages,
    narrowed,
    split_key,
)

ROOT = {
    "stages": {
        "prepare": {"cmd": "x", "outs": ["clean"]},
        "build": {
            "foreach": ["a", "b"],
            "do": {"cmd": "x ${item}", "deps": ["clean"], "outs": ["out-${item}"]},
        },
    }
}
SUB = {"stages": {"train": {"cmd": "x", "deps": ["../clean"], "outs": ["model", "log"]}}}


def make_index():
    stages = parse_pipeline(ROOT, Base("dvc.yaml", "")) | parse_pipeline(SUB, Base("sub/dvc.yaml", ""))
    stages["raw.dvc"] = Stage("raw.dvc", "", "raw.dvc", None, ".", outs=(Out("raw", "raw"),))
    return Index(stages, build_graph(stages), {}, ("dvc.yaml", "raw.dvc", "sub/dvc.yaml"))


INDEX = make_index()


@pytest.mark.parametrize(
    ("words", "here", "choice", "keys"),
    [
        ((), "", Choice(), ["prepare", "build@a", "build@b"]),
        ((), "sub", Choice(), ["sub/dvc.yaml:train"]),
        (("prepare",), "", Choice(), ["prepare"]),
        ((":prepare",), "", Choice(), ["prepare"]),
        (("build",), "", Choice(), ["build@a", "build@b"]),
        (("build@b",), "", Choice(), ["build@b"]),
        (("b*",), "", Choice(glob=True), ["build@a", "build@b"]),
        (("sub/dvc.yaml:train",), "", Choice(), ["sub/dvc.yaml:train"]),
        (("sub/dvc.yaml",), "", Choice(), ["sub/dvc.yaml:train"]),
        (("train",), "sub", Choice(), ["sub/dvc.yaml:train"]),
        (("../dvc.yaml:prepare",), "sub", Choice(), ["prepare"]),
        (("raw.dvc",), "", Choice(), ["raw.dvc"]),
        (("../raw.dvc",), "sub", Choice(), ["raw.dvc"]),
        (("sub",), "", Choice(recursive=True), ["sub/dvc.yaml:train"]),
        (("prepare", "prepare"), "", Choice(), ["prepare"]),
    ],
)
def test_stages_are_named_from_where_one_stands(words, here, choice, keys):
    assert choose_stages(INDEX, words, here=here, choice=choice) == keys


@pytest.mark.parametrize(
    ("word", "here", "paths"),
    [
        ("sub/model", "", ["sub/model"]),
        ("model", "sub", ["sub/model"]),
        ("sub/model/part/x", "", ["sub/model"]),
        ("raw", "", ["raw"]),
        ("sub/dvc.yaml:train", "", ["sub/model", "sub/log"]),
    ],
)
def test_outs_are_named_by_path_or_by_stage(word, here, paths):
    (target,) = choose_outs(INDEX, [word], here=here)
    assert [out.at for out in narrowed(target)] == paths


def test_without_words_every_out_is_meant_and_needs_come_along_on_demand():
    assert [target.stage.key for target in choose_outs(INDEX, [])] == list(INDEX.stages)
    found = choose_outs(INDEX, ["build@a"], choice=Choice(with_deps=True))
    assert {target.stage.key for target in found} == {"build@a", "prepare"}


@pytest.mark.parametrize(
    ("word", "here", "message"),
    [
        ("prepair", "", "did you mean `prepare`"),
        ("sub/modl", "", "did you mean `sub/model`"),
        ("prepare", "sub", "no stage"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(word, here, message):
    with pytest.raises(NotFoundError, match=message):
        choose_outs(INDEX, [word], here=here)


def test_a_directory_without_pipeline_says_so():
    with pytest.raises(NotFoundError, match=r"elsewhere/dvc\.yaml: no such file"):
        choose_stages(INDEX, [], here="elsewhere")


@pytest.mark.parametrize(
    ("key", "here", "shown"),
    [
        ("prepare", "", "prepare"),
        ("prepare", "sub", "../dvc.yaml:prepare"),
        ("sub/dvc.yaml:train", "", "sub/dvc.yaml:train"),
        ("sub/dvc.yaml:train", "sub", "train"),
        ("raw.dvc", "sub", "../raw.dvc"),
        ("build@x:y", "", "build@x:y"),
    ],
)
def test_a_stage_is_addressed_as_dvc_does(key, here, shown):
    assert address(key, here) == shown


def test_a_key_is_a_file_and_a_name():
    assert split_key("sub/dvc.yaml:train") == ("sub/dvc.yaml", "train")
    assert split_key("train") == ("dvc.yaml", "train")
    assert split_key("a/raw.dvc") == ("a/raw.dvc", "")
