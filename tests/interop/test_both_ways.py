"""Tidegate and the real DVC in twin repositories: the same files after each step, and each content with the other's."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tidegate.pipeline.job import Request
from tidegate.pipeline.reproduce import reproduce, states

pytestmark = pytest.mark.slow

Dvc = Callable[..., str]
Files = dict[str, str | None]


class Scenario(NamedTuple):
    """A repository, and an edit of it: None deletes a path; an `!x` file is executable; `dvc` is run before all."""

    files: Files
    edit: Files
    dvc: tuple[tuple[str, ...], ...] = ()
    config: str = ""
    fails: bool = False


def stages(text: str) -> str:
    return "stages:\n" + "".join(f"  {line}\n" for line in text.strip("\n").splitlines())


COPY = "a:\n  cmd: cp in out\n  deps: [in]\n  outs: [out]"

SCENARIOS = {
    "one stage": Scenario({"dvc.yaml": stages(COPY), "in": "1"}, {"in": "2"}),
    "a deleted dep": Scenario({"dvc.yaml": stages(COPY), "in": "1"}, {"in": None}, fails=True),
    "a deleted out": Scenario({"dvc.yaml": stages(COPY), "in": "1"}, {"out": None}),
    "a changed command": Scenario(
        {"dvc.yaml": stages(COPY), "in": "1"}, {"dvc.yaml": stages(COPY.replace("cp in", "cp -f in"))}
    ),
    "foreach over a list": Scenario(
        {
            "dvc.yaml": stages(
                "b:\n  foreach: [x, 2, 0.5]\n  do:\n    cmd: echo ${item} > o-${item}\n    deps: [in]\n"
                "    outs: ['o-${item}']"
            ),
            "in": "1",
        },
        {"in": "2"},
    ),
    "foreach over a mapping": Scenario(
        {
            "dvc.yaml": stages(
                "b:\n  foreach:\n    us: {n: 1}\n    uk: {n: 2}\n  do:\n    cmd: echo ${key} ${item.n} > ${key}.txt\n"
                "    outs: ['${key}.txt']"
            )
        },
        {"us.txt": None},
    ),
    "matrix": Scenario(
        {
            "dvc.yaml": stages(
                "m:\n  matrix:\n    model: [a, b]\n    size: [1, {w: 2}]\n  cmd: echo ${item.model} ${key} > ${key}\n"
                "  outs: ['${key}']"
            )
        },
        {
            "dvc.yaml": stages(
                "m:\n  matrix:\n    model: [a]\n  cmd: echo ${item.model} > ${key}.o\n  outs: ['${key}.o']"
            )
        },
    ),
    "vars and params in templates": Scenario(
        {
            "params.yaml": "train: {lr: 1e-3, layers: [1, 2]}\nname: first\n",
            "more.json": '{"deep": {"x": true}}',
            "dvc.yaml": "vars:\n- more.json\n- own: {k: v}\n"
            + stages(
                "a:\n  vars: [{local: 3}]\n  cmd: echo ${train.lr} ${train.layers[1]} ${deep.x} ${own.k} ${local}"
                " > ${name}.txt\n"
                "  params: [train.lr, name]\n  outs: ['${name}.txt']"
            ),
        },
        {"params.yaml": "train: {lr: 0.01, layers: [1, 2]}\nname: second\n"},
    ),
    "a mapping becomes flags": Scenario(
        {
            "params.yaml": "opt: {lr: 0.1, on: true, off: false, names: [a, b], deep: {x: 'it''s'}}\n",
            "dvc.yaml": stages("a:\n  cmd: echo ${opt} > o\n  params: [opt]\n  outs: [o]"),
        },
        {"params.yaml": "opt: {lr: 0.2, on: true, off: false, names: [a], deep: {x: y}}\n"},
    ),
    "params of every kind": Scenario(
        {
            "params.yaml": "a: 1\nb: [1, 2.5, null, 'yes', {on: true}]\nc: 1e20\nd: -0.0\ne: ''\nf: 'x: y'\ng: ünï\n",
            "p.json": '{"k": {"l": [1, "2"]}, "m": null}',
            "p.toml": "t = 3\n[u]\nv = 'w'\n",
            "p.py": "X = 1\nclass C:\n    y: int = 2\n    def __init__(self):\n        self.z = [1, (2, 3)]\n",
            "dvc.yaml": stages(
                "a:\n  cmd: echo > o\n  params:\n  - a\n  - b\n  - c\n  - d\n  - e\n  - f\n  - g\n  - b.1\n"
                "  - p.json: [k.l]\n  - p.toml:\n  - p.py: [X, C.y]\n  outs: [o]"
            ),
        },
        {"p.py": "X = 2\nclass C:\n    y: int = 2\n", "p.toml": "t = 3\nnew = 1\n"},
    ),
    "a param that vanished": Scenario(
        {
            "params.yaml": "a: 1\nb: 2\n",
            "dvc.yaml": stages("a:\n  cmd: echo > o\n  params: [a]\n  outs: [o]"),
        },
        {"params.yaml": "a: [1]\n"},
    ),
    "spaces and letters of the world": Scenario(
        {
            "dvc.yaml": stages("näme:\n  cmd: cp 'in put' 'out püt'\n  deps: [in put]\n  outs: [out püt]"),
            "in put": "1",
        },
        {"in put": "2"},
    ),
    "names that YAML must quote": Scenario(
        {
            "dvc.yaml": stages("'12':\n  cmd: cp 'a#b' '123'\n  deps: ['a#b']\n  outs: ['123']"),
            "a#b": "1",
        },
        {"a#b": "2"},
    ),
    "executable files": Scenario(
        {
            "dvc.yaml": stages("a:\n  cmd: cp run.sh o && chmod +x o\n  deps: [run.sh]\n  outs: [o]"),
            "!run.sh": "#!/bin/sh\n",
        },
        {"o": None},
    ),
    "directories": Scenario(
        {
            "dvc.yaml": stages(
                "a:\n  cmd: cp -r raw made && touch made/empty\n  deps: [raw]\n  outs: [made]"
            ),
            "raw/x": "1",
            "raw/deep/er/y": "2",
            "raw/ünï": "",
        },
        {"raw/deep/er/y": "3"},
    ),
    "a file added inside an out": Scenario(
        {"dvc.yaml": stages("a:\n  cmd: mkdir -p d && touch d/x\n  deps: [in]\n  outs: [d]"), "in": "1"},
        {"d/y": "new"},
    ),
    "an empty directory": Scenario(
        {"dvc.yaml": stages("a:\n  cmd: mkdir -p d\n  deps: [in]\n  outs: [d]"), "in": ""}, {"in": "1"}
    ),
    "ignored files": Scenario(
        {
            ".dvcignore": "*.tmp\n!keep.tmp\n",
            "dvc.yaml": stages("a:\n  cmd: cp -r raw o\n  deps: [raw]\n  outs: [o]"),
            "raw/x": "1",
            "raw/y.tmp": "2",
            "raw/keep.tmp": "3",
        },
        {"raw/y.tmp": "changed", "raw/x": "2"},
    ),
    "a working directory": Scenario(
        {
            "dvc.yaml": stages(
                "a:\n  wdir: sub/er\n  cmd: cat ../../in params.yaml > o\n  deps: [../../in]\n  params: [k]\n"
                "  outs: [o]"
            ),
            "in": "1",
            "sub/er/params.yaml": "k: 1\n",
        },
        {"sub/er/params.yaml": "k: 2\n"},
    ),
    "pipelines in subdirectories": Scenario(
        {
            "dvc.yaml": stages(COPY),
            "in": "1",
            "sub/dvc.yaml": stages("b:\n  cmd: cp ../out o\n  deps: [../out]\n  outs: [o]"),
            "sub/deep/dvc.yaml": stages("c:\n  cmd: cp ../o p\n  deps: [../o]\n  outs: [p]"),
        },
        {"in": "2"},
    ),
    "data that was added": Scenario(
        {
            "dvc.yaml": stages("a:\n  cmd: cp -r data o\n  deps: [data]\n  outs: [o]"),
            "data/x": "1",
            "data/y": "2",
        },
        {"data/x": "changed"},
        dvc=(("add", "data"),),
    ),
    "an added file that changed": Scenario({"big": "1"}, {"big": "2"}, dvc=(("add", "big"),)),
    "several commands": Scenario(
        {
            "dvc.yaml": stages("a:\n  cmd:\n  - echo 1 > o\n  - echo 2 >> o\n  deps: [in]\n  outs: [o]"),
            "in": "1",
        },
        {"in": "2"},
    ),
    "a command of several lines": Scenario(
        {
            "dvc.yaml": stages("a:\n  cmd: |\n    echo 1 > o\n    echo 2 >> o\n  deps: [in]\n  outs: [o]"),
            "in": "1",
        },
        {"in": "2"},
    ),
    "a long command": Scenario(
        {
            "dvc.yaml": stages(
                "a:\n  cmd: echo "
                + " ".join(["a rather long command: with words"] * 6)
                + " > o\n  deps: [in]\n  outs: [o]"
            ).replace("cmd: echo", "cmd: >-\n      echo"),
            "in": "1",
        },
        {"in": "2"},
    ),
    "metrics and plots": Scenario(
        {
            "dvc.yaml": stages(
                "a:\n  cmd: echo '{\"m\":1}' > m.json; printf 'x,y\\n1,2\\n' > p.csv; mkdir q; touch q/r.csv\n"
                "  deps: [in]\n"
                "  metrics: [m.json: {cache: false}]\n  plots:\n  - p.csv: {x: x, y: y, title: t}\n  - q\n  outs:\n"
                "  - o: {cache: false, desc: words, type: t, labels: [l], meta: {k: 1}}"
            ).replace("mkdir q", "touch o; mkdir q"),
            "in": "1",
        },
        {"m.json": '{"m":2}'},
    ),
    "outs that persist": Scenario(
        {"dvc.yaml": stages("a:\n  cmd: echo x >> o\n  deps: [in]\n  outs: [o: {persist: true}]"), "in": "1"},
        {"in": "2"},
    ),
    "a frozen stage": Scenario(
        {
            "dvc.yaml": stages(COPY + "\nb:\n  cmd: cp out p\n  deps: [out]\n  outs: [p]"),
            "in": "1",
        },
        {
            "dvc.yaml": stages(COPY + "\nb:\n  cmd: cp out p\n  frozen: true\n  deps: [out]\n  outs: [p]"),
            "in": "2",
        },
    ),
    "a stage that always runs": Scenario(
        {
            "dvc.yaml": stages("a:\n  cmd: cp in o\n  always_changed: true\n  deps: [in]\n  outs: [o]"),
            "in": "1",
        },
        {"in": "2"},
    ),
    "a stage without deps and outs": Scenario({"dvc.yaml": stages("a:\n  cmd: 'true'")}, {"x": "1"}),
    "hard links": Scenario(
        {"dvc.yaml": stages("a:\n  cmd: cp -r raw o\n  deps: [raw]\n  outs: [o]"), "raw/x": "1"},
        {"raw/x": "2"},
        config="[cache]\n    type = hardlink\n",
    ),
    "symbolic links": Scenario(
        {"dvc.yaml": stages(COPY), "in": "1"}, {"in": "2"}, config="[cache]\n    type = symlink\n"
    ),
    "a cache elsewhere": Scenario(
        {"dvc.yaml": stages(COPY), "in": "1"}, {"in": "2"}, config="[cache]\n    dir = ../elsewhere\n"
    ),
    "the order of the file": Scenario(
        {
            "dvc.yaml": stages(
                "z:\n  cmd: cat o1 o2 > o3\n  deps: [o2, o1]\n  outs: [o3]\n"
                "y:\n  cmd: cp in o2\n  deps: [in]\n  outs: [o2]\nx:\n  cmd: cp in o1\n  deps: [in]\n  outs: [o1]"
            ),
            "in": "1",
        },
        {"in": "2"},
    ),
    "a stage that is gone": Scenario(
        {"dvc.yaml": stages(COPY + "\nb:\n  cmd: cp in p\n  deps: [in]\n  outs: [p]"), "in": "1"},
        {"dvc.yaml": stages(COPY)},
    ),
    "a lock in another hand": Scenario(
        {
            "dvc.yaml": stages(COPY + "\nb:\n  cmd: cp in p\n  deps: [in]\n  outs: [p]"),
            "in": "1",
            "dvc.lock": "# kept\nschema: '2.0'\nstages:\n  old:   # words\n    cmd: x\n",
        },
        {"in": "2"},
    ),
    "a lock cut short": Scenario({"dvc.yaml": stages(COPY), "in": "1"}, {"dvc.lock": None}),
    "git ignores a directory": Scenario(
        {
            "dvc.yaml": stages(COPY),
            "in": "1",
            ".gitignore": "/skip\n",
            "skip/dvc.yaml": stages("b:\n  cmd: touch q\n  outs: [q]"),
        },
        {"in": "2"},
    ),
    "a dep outside of the repository": Scenario(
        {"dvc.yaml": stages("a:\n  cmd: cp ../far o\n  deps: [../far]\n  outs: [o]"), "../far": "1"},
        {"../far": "2"},
    ),
}


def write(root: Path, files: Files) -> None:
    for name, text in files.items():
        path = root / name.lstrip("!")
        if text is None:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a link would write through into the cache
        path.write_text(text)
        path.chmod(0o755 if name.startswith("!") else 0o644)


def make(folder: Path, scenario: Scenario, dvc: Dvc) -> Path:
    root = folder / "repository"
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    write(
        root,
        {
            ".dvc/config": scenario.config,
            ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
            **scenario.files,
        },
    )
    for words in scenario.dvc:
        dvc(root, *words)
    return root


def written(root: Path) -> dict[str, bytes]:
    """What both must write alike: locks, .dvc files, lists of ignored paths, objects and run cache."""
    names = ("dvc.lock", ".gitignore")
    found = {}
    for above in (root, root.parent / "elsewhere"):
        for folder, inner, files in os.walk(above):
            inner[:] = [name for name in inner if name not in (".git", ".tidegate", "tmp", "tidegate")]
            for name in files:
                path = Path(folder, name)
                if (
                    name in names
                    or name.endswith(".dvc")
                    or "cache" in path.parts
                    or "elsewhere" in path.parts
                ):
                    found[str(path.relative_to(root.parent))] = path.read_bytes()
    return found


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_both_write_the_same_and_see_the_same(tmp_path: Path, dvc: Dvc, scenario: Scenario) -> None:
    ours, theirs = (make(tmp_path / name, scenario, dvc) for name in ("ours", "theirs"))
    always = "a stage that always runs" if "always" in str(scenario.files) else "cmd: 'true'"
    settled = (
        {} if always not in str(scenario.files) and "always_changed" not in str(scenario.files) else None
    )
    reproduce(ours, Request(scope="all"))
    dvc(theirs, "repro", "-P")
    assert written(ours) == written(theirs)
    judged, seen = json.loads(dvc(ours, "status", "--json")), states(theirs)
    assert judged == seen
    assert settled is None or judged == {}
    if settled is not None:
        assert {step.action for step in reproduce(theirs, Request(scope="all")).steps} <= {"skipped"}
    for root in (ours, theirs):
        write(root, scenario.edit)
    assert known_to_dvc(states(ours)) == json.loads(
        dvc(theirs, "status", "--json"), object_hook=twin_of(theirs, ours)
    )
    if not scenario.fails:
        reproduce(ours, Request(scope="all"))
        dvc(theirs, "repro", "-P")
        assert written(ours) == written(theirs)


def known_to_dvc(value: Any) -> Any:
    """A state without what only tidegate tells: entries that dvc.yaml no longer has."""
    if isinstance(value, dict):
        kept = {key: known_to_dvc(part) for key, part in value.items() if part != "removed"}
        return {key: part for key, part in kept.items() if part not in ({}, [])}
    if isinstance(value, list):
        return [part for part in map(known_to_dvc, value) if part != {}]
    return value


def twin_of(root: Path, other: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """DVC names what lies outside by its full path, which differs between the twins."""
    return lambda found: {
        key.replace(str(root.parent), str(other.parent)): part for key, part in found.items()
    }
