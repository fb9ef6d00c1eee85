import pytest

from tidegate.errors import UsageError
from tidegate.pipeline.project import open_project

WRONG = [
    ("stages:\n  a:\n    cmd: x\n    depz: [y]\n", "4:5", "did you mean `deps`"),
    ("stages:\n  a:\n    cmd: [x\n", "4:1", "expected YAML"),
    ("stages:\n- a\n", "1:1", "expected a mapping from stage names"),
    ("stages:\n  a:\n    outs: [o]\n", "2:3", "no `cmd`"),
    ("stages:\n  a:\n    cmd: x\n    cmd: y\n", "4:5", "appears twice"),
    ("stages:\n  a:\n    cmd: echo ${lr}\n", "3:5", "lr"),
    ("stages:\n  a:\n    foreach: [1]\n    do: {cmd: x, out: [y]}\n", "4:18", "did you mean `outs`"),
    ("stages:\n  a:\n    matrix: {m: [1]}\n    cmd: x ${item.n}\n", "4:5", "item.n"),
    ("vars: [x: 1, x: 2]\nstages:\n  a:\n    cmd: x ${x}\n", "1:14", "x"),
    ("stages:\n  a:\n    cmd: x\n    meta: {tidegate: {cpu: 2}}\n", "4:23", "did you mean `cpus`"),
    ("stages:\n  a:\n    cmd: x\n    meta: {tidegate: {memory: lots}}\n", "4:23", "expected a size"),
    ("stages:\n  a:\n    cmd: x\n    outs: [o.dvc]\n", "4:12", "named like a file of stages"),
    ("stages:\n  a:\n    cmd: x\n    outs: [.]\n", "4:12", "not inside the project"),
    ("stages:\n  a:\n    cmd: x\n    outs:\n    - o: {cache: 1}\n", "5:11", "expected true or false"),
    ("stages:\n  a:\n    cmd: x\n    outs:\n    - o: {cash: true}\n", "5:11", "did you mean `cache`"),
    ("stages:\n  a:\n    cmd: x\n    outs: [../o]\n", "4:12", "not inside the project"),
    ("stages:\n  a:\n    cmd: x\n    deps: [o]\n    outs: [o]\n", "5:12", "lists `o` in deps and outs"),
    ("stages:\n  a:\n    cmd: x\n    deps: o\n", "4:5", "expected a list"),
    ("stages:\n  a:\n    cmd: x\n    deps: [1]\n", "4:12", "expected text"),
    ("stages:\n  a:\n    cmd: x\n    outs: [d, d/o]\n", "4:15", "lies inside `d`"),
    (
        "stages:\n  a:\n    cmd: x\n    outs: [o]\n  b:\n    cmd: x\n    outs: [o]\n",
        "7:12",
        "also an out of stage `a`",
    ),
    (
        "stages:\n  a:\n    cmd: x\n    deps: [p]\n    outs: [o]\n  b:\n    cmd: x\n    deps: [o]\n    outs: [p]\n",
        "2:3",
        "`a` -> `b` -> `a`",
    ),
]

COMPLETE = """\
params: [params.yaml]
metrics: [m.json]
stages:
  a:
    cmd: ['echo \\${HOME}', y]
    wdir: sub
    deps: [../raw.txt, /etc/hostname]
    params: [lr, lr, p.toml: [k], {q.json: null}]
    desc: words
    meta: {any: thing}
    frozen: true
    always_changed: true
    outs:
    - big: {persist: true, remote: r, push: false, desc: d, labels: [l], type: t, meta: 1}
    metrics:
    - m.json: {cache: false}
    plots:
    - p.csv: {x: n, y: m, title: t}
"""


@pytest.mark.parametrize(("text", "place", "found"), WRONG)
def test_what_is_wrong_is_named_with_line_and_column(root, text, place, found):
    (root / "dvc.yaml").write_text(text)
    with pytest.raises(UsageError) as error, open_project(root):
        pass
    assert error.value.where == f"dvc.yaml:{place}"
    assert found in error.value.message


def test_everything_a_stage_may_hold_is_read(root):
    (root / "dvc.yaml").write_text(COMPLETE)
    with open_project(root) as project:
        stage = project.stages["a"]
    assert stage.cmd == ["echo ${HOME}", "y"]
    assert [dep.at for dep in stage.deps] == ["raw.txt", "/etc/hostname"]
    assert [(one.path, one.at, one.keys) for one in stage.params] == [
        ("params.yaml", "sub/params.yaml", ("lr",)),
        ("p.toml", "sub/p.toml", ("k",)),
        ("q.json", "sub/q.json", None),
    ]
    assert [(out.at, out.kind, out.cache, out.persist) for out in stage.outs] == [
        ("sub/big", "out", True, True),
        ("sub/m.json", "metric", False, False),
        ("sub/p.csv", "plot", True, False),
    ]
    assert stage.frozen
    assert stage.always_changed
