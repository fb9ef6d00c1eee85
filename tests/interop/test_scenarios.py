"""All that a repository may say, with both tools in twin repositories: they write the same and see the same."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

LOG = "echo $DVC_STAGE >> $DVC_ROOT/../ran"
COPY = "a: {cmd: LOG; cp in out, deps: [in], outs: [out]}"
TREE = "a: {cmd: LOG; cp -r raw made, deps: [raw], outs: [made]}"
WORDS = " ".join(["a rather long command with words"] * 6)

Repository = dict[str, Any]
Steps = list[Any]


def stages(text: str, above: str = "") -> str:
    lines = text.replace("LOG", LOG).strip("\n").splitlines()
    return f"{above}stages:\n" + "".join(f"  {line}\n" for line in lines)


def one(text: str, above: str = "", **files: Any) -> Repository:
    return {"dvc.yaml": stages(text, above), "in": "1", **files}


def renewed(*edits: Repository) -> Steps:
    """Everything is run, then run again after each edit."""
    return ["repro -P", *(step for edit in edits for step in (edit, "repro -P"))]


AGAIN = renewed({"in": "2"})

TEMPLATES: dict[str, tuple[Repository, Steps]] = {
    "foreach over a list": (
        one(
            "b: {foreach: [x, 2, 0.5, true], do: {cmd: 'LOG; cp in o-${item}', deps: [in], outs: ['o-${item}']}}"
        ),
        AGAIN,
    ),
    "foreach over a mapping": (
        one(
            "b: {foreach: {us: {n: 1}, uk: {n: 2}}, do: {cmd: 'LOG; echo ${key} ${item.n} > ${key}.o', outs: ['${key}.o']}}"
        ),
        renewed({"us.o": None}),
    ),
    "foreach over values of a file": (
        one(
            "b: {foreach: '${runs}', do: {cmd: 'LOG; echo ${item.n} > ${item.n}.o', params: [runs], outs: ['${item.n}.o']}}",
            **{"params.yaml": "runs: [{n: 1}, {n: two}]\n"},
        ),
        renewed({"params.yaml": "runs: [{n: 1}, {n: two}, {n: 3}]\n"}),
    ),
    "a matrix": (
        one(
            "m: {matrix: {model: [a, b], size: [1, {w: 2}]}, cmd: 'LOG; echo ${item.model} > ${key}', outs: ['${key}']}"
        ),
        ["repro -P", {"a-1": None}, "repro -P"],
    ),
    "a matrix that shrinks": (
        one("m: {matrix: {n: [1, 2, 3]}, cmd: 'LOG; cp in m${item.n}', deps: [in], outs: ['m${item.n}']}"),
        renewed(
            one("m: {matrix: {n: [3, 1]}, cmd: 'LOG; cp in m${item.n}', deps: [in], outs: ['m${item.n}']}")
        ),
    ),
    "values of files, of the pipeline and of a stage": (
        one(
            "a: {vars: [{local: 3}], cmd: 'LOG; echo ${lr} ${layers[1]} ${deep.x} ${k} ${local} > ${name}.o',\n"
            "    params: [lr, name], outs: ['${name}.o']}",
            above="vars: [more.json, {k: v}]\n",
            **{
                "params.yaml": "lr: 1e-3\nlayers: [1, 2]\nname: first\n",
                "more.json": '{"deep": {"x": true}}',
            },
        ),
        renewed(
            {"params.yaml": "lr: 0.01\nlayers: [1, 2]\nname: first\n"}, {"more.json": '{"deep": {"x": 5}}'}
        ),
    ),
    "a mapping becomes flags": (
        one(
            "a: {cmd: 'LOG; echo ${opt} > o', params: [opt], outs: [o]}",
            **{
                "params.yaml": "opt: {lr: 0.1, on: true, off: false, names: [a, b], deep: {x: 'it''s'}, none: null}\n"
            },
        ),
        renewed({"params.yaml": "opt: {lr: 1e20, on: false, names: [a], deep: {x: ü y}}\n"}),
    ),
    "flags in another style": (
        one(
            "a: {cmd: 'LOG; echo ${opt} > o', params: [opt], outs: [o]}",
            **{
                "params.yaml": "opt: {on: true, off: false, names: [a, b]}\n",
                ".dvc/config": "[parsing]\n    bool = boolean_optional\n    list = append\n",
            },
        ),
        renewed({"params.yaml": "opt: {on: false, off: true, names: [c]}\n"}),
    ),
    "templates of subdirectories": (
        one(
            COPY,
            **{
                "sub/dvc.yaml": stages(
                    "b: {cmd: 'LOG; echo ${v} > ${v}.o', wdir: '${v}', params: [p], outs: ['${v}.o']}",
                    "vars: [{v: w}]\n",
                ),
                "sub/w/params.yaml": "p: 1\n",
                "sub/params.yaml": "other: 2\n",
            },
        ),
        renewed({"sub/w/params.yaml": "p: 2\n"}),
    ),
    "an escaped template": (
        one("a: {cmd: 'LOG; X=5; echo \\${X} > out', outs: [out]}", above="vars: [{x: 1}]\n"),
        renewed({"out": None}),
    ),
}

FLOATS = (
    "a: 1e20\nb: -0.0\nc: 0.00001\nd: 1e-7\ne: .inf\nf: 100000000000000000000\ng: 1.0\nh: -.inf\ni: 1_000\n"
)
TEXTS = "a: ''\nb: 'x: y'\nc: ünï\nd: 'yes'\ne: '123'\nf: \"two\\nlines\"\ng: ' edge '\nh: '#'\ni: 'null'\nj: '1e3'\n"
KEYS = "abcdefghij"
PARAMS: dict[str, tuple[Repository, Steps]] = {
    "numbers": (
        one(
            f"a: {{cmd: LOG; touch o, params: [{', '.join(KEYS[:9])}], outs: [o]}}", **{"params.yaml": FLOATS}
        ),
        renewed({"params.yaml": FLOATS.replace("1.0", "1")}, {"params.yaml": FLOATS.replace("1.0", "true")}),
    ),
    "texts": (
        one(f"a: {{cmd: LOG; touch o, params: [{', '.join(KEYS)}], outs: [o]}}", **{"params.yaml": TEXTS}),
        renewed({"params.yaml": TEXTS.replace("ünï", "日本 🙂")}),
    ),
    "long texts": (
        one("a: {cmd: LOG; touch o, params: [t], outs: [o]}", **{"params.yaml": f"t: '{WORDS}: {WORDS}'\n"}),
        renewed({"params.yaml": f"t: {{deep: [{WORDS}, '{WORDS} # no']}}\n"}),
    ),
    "lists and mappings": (
        one(
            "a: {cmd: LOG; touch o, params: [m, l, l.1, m.n.o], outs: [o]}",
            **{"params.yaml": "m: {z: 1, n: {o: [], p: {}}, a: null}\nl: [1, [2, {x: y}], null, true]\n"},
        ),
        renewed(
            {"params.yaml": "m: {z: 1, n: {o: [3], p: {}}, a: null}\nl: [1, [2, {x: z}], null, false]\n"}
        ),
    ),
    "every kind of file": (
        one(
            "a: {cmd: LOG; touch o, params: [p.json: [k.l, m], p.toml: [t, u.v], p.py: [X, C.y, C.z], p.conf: [q]], outs: [o]}",
            **{
                "p.json": '{"k": {"l": [1, "2"]}, "m": null}',
                "p.toml": "t = 3\n[u]\nv = 'w'\n",
                "p.py": "X = 1\nclass C:\n    y: int = 2\n    def __init__(self):\n        self.z = [1, [2, 3]]\n",
                "p.conf": "q: 1\n",
            },
        ),
        renewed({"p.py": "X = 2\nclass C:\n    y = 2\n    z = 3\n"}, {"p.toml": "t = 3.5\nu = {v = 'w'}\n"}),
    ),
    "whole files": (
        one(
            "a: {cmd: LOG; touch o, params: [params.yaml: , p.toml: , p.json: ], outs: [o]}",
            **{"params.yaml": "z: 1\na: {b: 2}\n", "p.json": '{"y": 1, "x": [2]}', "p.toml": "q = 1\n"},
        ),
        renewed({"p.json": '{"y": 1, "w": 0, "x": [2]}'}, {"p.toml": "r = 1\n"}),
    ),
    "a value named twice": (
        one(
            "a: {cmd: LOG; touch o, params: [train, train.layers, train.deep], outs: [o]}",
            **{"params.yaml": "train: {layers: [1, 2], deep: {x: 1}}\n"},
        ),
        renewed({"params.yaml": "train: {layers: [1, 3], deep: {x: 1}}\n"}),
    ),
    "anchors of YAML": (
        one(
            "a: {cmd: LOG; touch o, params: [x, y], outs: [o]}",
            **{"params.yaml": "x: &one {k: [1]}\ny: *one\n"},
        ),
        renewed({"params.yaml": "x: &one {k: [2]}\ny: *one\n"}),
    ),
    "a key that is not there": (
        one("a: {cmd: LOG; touch o, params: [k], outs: [o]}", **{"params.yaml": "j: 1\n"}),
        ["!repro", {"params.yaml": "k: 1\n"}, "repro", {"params.yaml": "j: 1\n", "o": None}, "!repro"],
    ),
    "a file that is not there": (
        one("a: {cmd: LOG; touch o, params: [p.json: [k]], outs: [o]}"),
        ["!repro", {"p.json": '{"k": 1}'}, "repro", {"p.json": None, "o": None}, "!repro"],
    ),
    "keys that are not text": (
        one(
            "a: {cmd: LOG; touch o, params: [x], outs: [o]}",
            **{"params.yaml": "x: {7: a, true: b, 2.5: c}\n"},
        ),
        renewed({"params.yaml": "x: {7: a, true: b, 2.5: d}\n"}),
    ),
    "params that a stage makes": (
        one(
            "a: {cmd: 'LOG; (printf k:\\ ; cat in) > made.yaml', deps: [in], outs: [made.yaml]}\n"
            "b: {cmd: LOG; touch o, params: [made.yaml: [k]], outs: [o]}"
        ),
        AGAIN,
    ),
}

PATHS: dict[str, tuple[Repository, Steps]] = {
    "one stage": (one(COPY), AGAIN),
    "spaces and letters of the world": (
        {
            "dvc.yaml": stages(
                "näme: {cmd: LOG; cp 'in put' 'out püt 🙂', deps: [in put], outs: [out püt 🙂]}"
            ),
            "in put": "1",
        },
        renewed({"in put": "2"}),
    ),
    "names that YAML must quote": (
        {
            "dvc.yaml": stages(
                "'12': {cmd: \"LOG; cp 'a#b' '123'; cp 'a#b' 'yes: no'; cp 'a#b' ./'- x'\", deps: ['a#b'],"
                " outs: ['123', 'yes: no', '- x']}"
            ),
            "a#b": "1",
        },
        renewed({"a#b": "2"}),
    ),
    "names that git must quote": (
        {
            "dvc.yaml": stages(
                'a: {cmd: \'LOG; cp in "!o"; cp in "#o"; cp in "o[1]"; cp in "o*"\', deps: [in],'
                " outs: ['!o', '#o', 'o[1]', 'o*']}"
            ),
            "in": "1",
        },
        renewed({"in": "2"}, {"o*": None}),
    ),
    "executable files": (
        {
            "dvc.yaml": stages("a: {cmd: LOG; cp run.sh o && chmod +x o, deps: [run.sh], outs: [o]}"),
            "!run.sh": "#!/bin/sh\n",
        },
        renewed({"o": None}, {"run.sh": "#!/bin/sh\n"}),
    ),
    "directories": (
        one(TREE, **{"raw/x": "1", "raw/deep/er/y": "2", "raw/ünï": "", "raw/.hidden": "h"}),
        renewed({"raw/deep/er/y": "3"}, {"raw/x": None}, {"made/x": "by hand"}, {"raw/new/z": "4"}),
    ),
    "a file added inside an out": (
        one("a: {cmd: LOG; mkdir -p d && touch d/x, deps: [in], outs: [d]}"),
        ["repro", {"d/y": "new"}],
    ),
    "parts of directories": (
        one(
            "a: {cmd: LOG; mkdir d; cp in d/x; cp in d/y, deps: [in], outs: [d]}\n"
            "b: {cmd: LOG; cp d/x o, deps: [d/x], outs: [o]}\n"
            "c: {cmd: LOG; ls e > p, deps: [e], outs: [p]}\n"
            "d: {cmd: LOG; cp in e/f, deps: [in], outs: [e/f]}",
            **{"e/g": "g"},
        ),
        renewed({"in": "2"}, {"e/g": "h"}),
    ),
    "empty directories and files": (
        one("a: {cmd: LOG; mkdir d; touch f, deps: [in], outs: [d, f]}", **{"in": ""}),
        renewed({"in": "1"}, {"d": None, "f": None}),
    ),
    "a file becomes a directory": (
        one("a: {cmd: LOG; sh make.sh, deps: [make.sh], outs: [o]}", **{"make.sh": "touch o"}),
        renewed({"make.sh": "mkdir o; touch o/x"}, {"make.sh": "echo > o"}),
    ),
    "a dep becomes a directory": (
        one("a: {cmd: LOG; ls raw > o, deps: [raw], outs: [o]}", raw="1"),
        ["repro", {"raw": None}, {"raw/x": "1"}, "repro", {"raw": None}, {"raw": "2"}, "repro"],
    ),
    "ignored files": (
        one(
            TREE,
            **{
                ".dvcignore": "*.tmp\n!keep.tmp\n/raw/deep/\n",
                "raw/x": "1",
                "raw/y.tmp": "2",
                "raw/keep.tmp": "3",
                "raw/deep/z": "4",
            },
        ),
        renewed(
            {"raw/y.tmp": "changed", "raw/deep/z": "5"}, {"raw/keep.tmp": "4"}, {".dvcignore": "*.tmp\n"}
        ),
    ),
    "ignored in a subdirectory": (
        one(
            TREE,
            **{
                "raw/x": "1",
                "raw/sub/y": "2",
                "sub/.dvcignore": "dvc.yaml\n",
                "sub/dvc.yaml": "stages: [",
                "lib/.dvcignore": "skip\n",
                "lib/skip/dvc.yaml": "stages: [",
            },
        ),
        renewed({"raw/sub/y": "3"}),
    ),
    "git ignores a directory": (
        one(COPY, **{".gitignore": "/skip\n", "skip/dvc.yaml": stages("b: {cmd: LOG; touch q, outs: [q]}")}),
        AGAIN,
    ),
    "a working directory": (
        one(
            "a: {wdir: sub/er, cmd: LOG; cat ../../in params.yaml > o, deps: [../../in], params: [k], outs: [o]}",
            **{"sub/er/params.yaml": "k: 1\n"},
        ),
        renewed({"sub/er/params.yaml": "k: 2\n"}, {"sub/er/o": None}),
    ),
    "a nested working directory": (
        one(
            COPY,
            **{
                "sub/dvc.yaml": stages(
                    "b: {wdir: er/est, cmd: LOG; cp ../../../out ../o, deps: [../../../out], outs: [../o]}"
                ),
                "sub/er/est/keep": "",
            },
        ),
        AGAIN,
    ),
    "paths written in odd ways": (
        one(
            "a: {cmd: LOG; mkdir dd; cp in dd/x; cp in o; cp in p, deps: [./in, sub/../in2], outs: [dd/, ./o, sub/../p]}",
            **{"in2": "2", "sub/x": ""},
        ),
        renewed({"in2": "3"}, {"dd/x": "by hand"}),
    ),
    "pipelines in subdirectories": (
        one(
            COPY,
            **{
                "sub/dvc.yaml": stages("b: {cmd: LOG; cp ../out o, deps: [../out], outs: [o]}"),
                "sub/deep/dvc.yaml": stages("c: {cmd: LOG; cp ../o p, deps: [../o], outs: [p]}"),
            },
        ),
        ["repro -P", {"in": "2"}, "sub/: repro", "repro -P"],
    ),
    "outs and deps in other directories": (
        one(
            "a: {cmd: LOG; mkdir -p x/y; cp in x/y/o; cp in x/p, deps: [in], outs: [x/y/o, x/p]}",
            **{"x/y/keep": ""},
        ),
        renewed({"in": "2"}, {"x/p": None}),
    ),
    "data that was added": (
        one("a: {cmd: LOG; cp -r data o, deps: [data], outs: [o]}", **{"data/x": "1", "data/y": "2"}),
        ["add data", *renewed({"data/x": "changed"}), {"data": None}, "checkout", "repro"],
    ),
    "part of data that was added": (
        one("a: {cmd: LOG; cp data/x o, deps: [data/x], outs: [o]}", **{"data/x": "1", "data/y": "2"}),
        ["add data", *renewed({"data/y": "changed"}, {"data/x": "changed"}), "commit -f data.dvc", "repro"],
    ),
    "data that was added and changed": ({"big": "1"}, ["add big", {"big": "2"}, "repro -P", {"big": "1"}]),
    "data that came back": (
        one("a: {cmd: LOG; cp big out, deps: [big], outs: [out]}", big="1"),
        ["add big", "repro", {"big": "2"}, "add big", "repro", {"big": "1"}, "add big", "repro"],
    ),
    "frozen data": (
        {"big": "1"},
        ["add big", "freeze big.dvc", {"big": "2"}, "repro -P", "unfreeze big.dvc"],
    ),
    "hard links": (
        one(TREE, **{"raw/x": "1", "raw/y": "", ".dvc/config": "[cache]\n    type = hardlink\n"}),
        renewed({"raw/x": "2"}, {"made/x": None}, {"raw/x": "1"}),
    ),
    "symbolic links": (
        one(
            TREE + "\n" + COPY.replace("a:", "b:"),
            **{"raw/x": "1", "raw/y": "", ".dvc/config": "[cache]\n    type = symlink\n"},
        ),
        renewed({"raw/x": "2"}, {"made/x": None}, {"in": "2"}),
    ),
    "a cache elsewhere": (one(COPY, **{".dvc/config": "[cache]\n    dir = ../../elsewhere\n"}), AGAIN),
    "a shared cache": (one(TREE, **{"raw/x": "1", ".dvc/config": "[cache]\n    shared = group\n"}), AGAIN),
    "a dep outside of the repository": (
        one("a: {cmd: LOG; cp ../far o, deps: [../far], outs: [o]}", **{"../far": "1"}),
        renewed({"../far": "2"}),
    ),
    "an out outside of the repository": (
        one("a: {cmd: LOG; cp in ../far, deps: [in], outs: [../far: {cache: false}]}"),
        renewed({"in": "2"}, {"../far": "by hand"}),
    ),
    "a link to a directory": (
        one("a: {cmd: LOG; ln -sfn ../raw raw/link; ls raw > o, deps: [raw], outs: [o]}", **{"raw/x": "1"}),
        renewed({"raw/x": "2"}),
    ),
}

KEYWORDS: dict[str, tuple[Repository, Steps]] = {
    "a changed command": (one(COPY), renewed(one(COPY.replace("cp", "cp -f")))),
    "a command that changes back": (one(COPY), renewed(one(COPY.replace("cp", "cp -f")), one(COPY))),
    "a deleted dep": (one(COPY), ["repro", {"in": None, "out": None}, "!repro"]),
    "a deleted out": (one(COPY), renewed({"out": None})),
    "an out changed by hand": (one(COPY), renewed({"out": "by hand"})),
    "several commands": (
        one("a:\n    cmd:\n    - LOG; echo 1 > o\n    - echo 2 >> o\n    deps: [in]\n    outs: [o]"),
        [*AGAIN, one("a:\n    cmd:\n    - LOG; echo 1 > o\n    deps: [in]\n    outs: [o]"), "repro"],
    ),
    "a command of several lines": (
        one(
            "a:\n    cmd: |\n      LOG\n      echo 1 > o\n\n      echo 2 >> o\n    deps: [in]\n    outs: [o]"
        ),
        AGAIN,
    ),
    "a long command": (
        one(
            f"a:\n    cmd: >-\n      LOG; echo '{WORDS}' '{'x' * 90}' >\n      o\n    deps: [in]\n    outs: [o]"
        ),
        AGAIN,
    ),
    "a command full of signs": (
        one(
            "a:\n    cmd: >-\n      LOG; echo 'a: b' \"# c\" 'it''s' \\\\ %d & wait; echo > o # end\n    deps: [in]\n    outs: [o]"
        ),
        AGAIN,
    ),
    "a command of one letter": (one("a: {cmd: 'y', outs: [o]}"), ["!repro"]),
    "metrics and plots": (
        one(
            "a:\n    cmd: LOG; echo '{\"m\":1}' > m.json; printf 'x,y\\n1,2\\n' > p.csv; mkdir q; touch q/r.csv; touch o\n"
            "    deps: [in]\n    metrics: [m.json: {cache: false}]\n    plots:\n    - p.csv: {x: x, y: y, title: t}\n"
            "    - q\n    outs:\n    - o: {cache: false, desc: words, type: t, labels: [l], meta: {k: 1}}"
        ),
        renewed({"m.json": '{"m":2}'}, {"p.csv": None}),
    ),
    "metrics restored from the run cache": (
        one(
            "a: {cmd: LOG; cp in m.json; cp in p.csv, deps: [in], metrics: [m.json: {cache: false}],\n"
            "    plots: [p.csv: {cache: false}]}"
        ),
        renewed({"in": "2"}, {"in": "1"}, {"m.json": None}),
    ),
    "plots, metrics and artifacts of the pipeline": (
        one(
            COPY,
            above="metrics: [out]\nparams: [params.yaml]\nplots:\n- out\n- p: {x: a, y: {out: [b]}, template: t}\n"
            "artifacts:\n  model: {path: out, type: model, desc: d, labels: [l], meta: {m: 1}}\n",
            **{"params.yaml": "p: 1\n"},
        ),
        AGAIN,
    ),
    "outs that persist": (
        one("a: {cmd: LOG; echo x >> o, deps: [in], outs: [o: {persist: true}]}"),
        renewed({"in": "2"}, {"in": "1"}),
    ),
    "a directory that persists": (
        one(
            "a: {cmd: 'LOG; mkdir -p d; cat in > d/x; cat in > d/$(cat in)', deps: [in], outs: [d: {persist: true}]}",
            **{".dvc/config": "[cache]\n    type = hardlink\n"},
        ),
        renewed({"in": "2"}, {"in": "1"}),
    ),
    "outs that are not pushed": (
        one("a: {cmd: LOG; cp in o; cp in p, deps: [in], outs: [o: {push: false}, p: {desc: d, remote: r}]}"),
        AGAIN,
    ),
    "outs that are not cached any more": (
        one(COPY),
        renewed(one(COPY.replace("[out]", "[out: {cache: false}]")), {"in": "2"}),
    ),
    "a frozen stage": (
        one(f"{COPY}\nb: {{cmd: LOG; cp out p, deps: [out], outs: [p]}}"),
        renewed(
            one(f"{COPY}\nb: {{cmd: LOG; cp out p, frozen: true, deps: [out], outs: [p]}}", **{"in": "2"}),
            {"p": "x"},
        ),
    ),
    "a stage that always runs": (one(COPY.replace("deps", "always_changed: true, deps")), AGAIN),
    "what follows a stage that always runs": (
        one(
            "a: {cmd: LOG; date +%N > o, always_changed: true, outs: [o: {cache: false}]}\n"
            "b: {cmd: LOG; cp in p, deps: [in, o], outs: [p]}".replace("date +%N", "cat in")
        ),
        AGAIN,
    ),
    "a stage with nothing but a command": (one("a: {cmd: LOG}"), renewed({"x": "1"})),
    "a stage without outs": (one("a: {cmd: LOG, deps: [in]}"), AGAIN),
    "a stage without deps": (one("a: {cmd: LOG; touch o, outs: [o]}"), renewed({"o": None}, {"o": "x"})),
    "remarks": (
        one("a: {cmd: LOG; cp in out, deps: [in], outs: [out: {desc: o}], desc: words, meta: {x: [1]}}"),
        renewed(
            one("a: {cmd: LOG; cp in out, deps: [in], outs: [out: {desc: p}], desc: new, meta: {x: [2]}}")
        ),
    ),
    "a renamed stage": (one(COPY), renewed(one(COPY.replace("a:", "b:")))),
    "a renamed out": (
        one(COPY),
        renewed(one(COPY.replace("in out,", "in new,").replace("[out]", "[new]"), out=None)),
    ),
    "a dep more": (one(COPY), renewed(one(COPY.replace("[in]", "[in, too]"), too="2"))),
    "an out more": (
        one(COPY),
        renewed(one(COPY.replace("cp in out", "cp in out; cp in p").replace("[out]", "[out, p]"))),
    ),
    "a param more": (
        one(COPY, **{"params.yaml": "k: 1\nl: 2\n"}),
        renewed(
            one(COPY.replace("deps", "params: [k], deps")), one(COPY.replace("deps", "params: [k, l], deps"))
        ),
    ),
    "a moved working directory": (
        one("a: {cmd: LOG; cp x o, wdir: one, deps: [x], outs: [o]}", **{"one/x": "1", "two/x": "2"}),
        renewed(one("a: {cmd: LOG; cp x o, wdir: two, deps: [x], outs: [o]}")),
    ),
    "a stage that is gone": (
        one(f"{COPY}\nb: {{cmd: LOG; cp in p, deps: [in], outs: [p]}}"),
        renewed(one(COPY), {"in": "2"}),
    ),
    "the order of the file": (
        one(
            "z: {cmd: LOG; cat o1 o2 > o3, deps: [o2, o1], outs: [o3]}\n"
            "y: {cmd: LOG; cp in o2, deps: [in], outs: [o2]}\nx: {cmd: LOG; cp in o1, deps: [in], outs: [o1]}"
        ),
        AGAIN,
    ),
    "the order across files": (
        one(
            "z: {cmd: LOG; cat sub/o b/p > o3, deps: [sub/o, b/p], outs: [o3]}",
            **{
                "sub/dvc.yaml": stages("y: {cmd: LOG; cp ../in o, deps: [../in], outs: [o]}"),
                "b/dvc.yaml": stages("x: {cmd: LOG; cp ../in p, deps: [../in], outs: [p]}"),
            },
        ),
        AGAIN,
    ),
    "twins of content": (
        one("a: {cmd: LOG; cp in o; cp in p; mkdir d; cp in d/x, deps: [in], outs: [o, p, d]}"),
        renewed({"in": "2"}, {"o": None, "d": None}),
    ),
    "an empty pipeline": (
        {"dvc.yaml": "", "big": "1"},
        ["add big", "repro -P", {"dvc.yaml": "stages: {}\n"}],
    ),
    "a lock in another hand": (
        one(
            f"{COPY}\nb: {{cmd: LOG; cp in p, deps: [in], outs: [p]}}",
            **{"dvc.lock": "# kept\nschema: '2.0'\nstages:\n  old:   # words\n    cmd: x\n"},
        ),
        AGAIN,
    ),
    "a lock with remarks": (
        one(f"{COPY}\nb: {{cmd: LOG; cp in p, deps: [in], outs: [p]}}"),
        [
            "repro",
            {
                "dvc.lock": "schema: '2.0'\nstages: # all\n  # first\n  a:\n    cmd: x # y\n    outs:\n    - {path: out, md5: c4ca4238a0b923820dcc509a6f75849b, size: 1, hash: md5}\n"
            },
            "repro",
        ],
    ),
}
SCENARIOS = TEMPLATES | PARAMS | PATHS | KEYWORDS


@pytest.mark.parametrize(("files", "steps"), SCENARIOS.values(), ids=SCENARIOS)
def test_both_write_the_same_and_see_the_same(
    judge: Callable[..., None], files: Repository, steps: Steps
) -> None:
    judge(files, steps)
