"""DVC resolves the same documents: its stages must be ours, and what it refuses we refuse."""

import json
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tidegate.data.params import ABSENT, load_python_params, look_up
from tidegate.data.statcache import StatCache
from tidegate.data.yaml import read_document
from tidegate.errors import UsageError
from tidegate.pipeline.expand import expand_pipeline, expand_values
from tidegate.pipeline.faults import FaultError
from tidegate.pipeline.template import FlagStyle

PYTHON = Path(__file__).parents[2] / ".tools" / "dvc" / "bin" / "python"

JUDGE = """
import json, os, sys
from types import SimpleNamespace
from dvc.fs import LocalFileSystem
from dvc.parsing import DataResolver
from dvc.utils.serialize import load_yaml

def resolve(folder, style):
    os.chdir(folder)
    repo = SimpleNamespace(fs=LocalFileSystem(), config={"parsing": style})
    try:
        resolver = DataResolver(repo, "", load_yaml("dvc.yaml"))
        found = {"stages": resolver.resolve()["stages"] or {}}
        for name in ("params", "metrics", "plots", "artifacts", "datasets"):
            values = getattr(resolver, "resolve_" + name)()
            if values:
                found[name] = values
        return found
    except Exception as error:
        return {"error": type(error).__name__ + ": " + str(error)}

print(json.dumps([resolve(*case) for case in json.load(sys.stdin)]))
"""

SHARED = {
    "params.yaml": """
        lr: 1e-3
        tiny: 0.00001
        big: 1e20
        half: 5e-1
        flag: true
        off: false
        nothing: null
        text: a b
        dollar: 'x\\${y} ${z}'
        'spaced key': 7
        1: one
        train: {trees: 10, layers: [1, 2, {deep: [x, y]}], opts: {a.b: 1, 2: two, none: {}}}
        args: {lr: 0.1, quiet: false, loud: true, name: it's, tags: [a b, 1, null, true], empty: [], none: null,
               sub: {k: 1, e: ''}}
        nested: {rows: [[1], [2]]}
        models: [cnn, rnn]
        flags: [true, false, null, 1.0]
        sizes: {small: {n: 1}, large: {n: 2, 3: three}, 5: {n: 3}}
        rows: [{n: 1}, {n: 2}]
        twice: [1, '1', 1]
    """,
    "more.yaml": "more: {x: 1, y: 2}\nother: 3\n",
    "train.toml": "[train]\nepochs = 3\n",
    "deep.json": '{"deep": {"a": [1, 2.5]}}',
    "const.py": "seed = -1\nclass Model:\n    depth: int = 3\n    def __init__(self):\n        self.width = 4\n",
    "odd.conf": "odd: yes\n",
    "empty.yaml": "",
    "list.yaml": "[1]",
    "sub/params.yaml": "local: here\n",
    "sub/vars.yaml": "inner: 1\n",
}

RESOLVED = {
    "types are kept": "a: {cmd: x, meta: ['${lr}', '${flag}', '${nothing}', '${text}', '${train.trees}']}",
    "types in text": "a: {cmd: 'x ${flag} ${off} ${nothing} ${lr} ${tiny} ${big} ${half} ${text}'}",
    "paths": "a: {cmd: 'x ${train.layers[2].deep[0]} ${ train . layers[ 2 ] .deep.1 } ${train.layers[-2]}'}",
    "spaced": "a: {cmd: 'x ${spaced key}${ lr }'}",
    "escapes": "a: {cmd: 'x \\${HOME} ${lr} \\\\${no} $${lr} ${dollar}', desc: '${dollar}', meta: {'\\${k}': 1}}",
    "only escapes": "a: {cmd: 'echo \\${HOME} $HOME'}",
    "keys": "a: {cmd: x, params: [{'${models[0]}.yaml': [lr]}], outs: [{'${text}': {desc: '${lr}'}}]}",
    "unfinished": "a: {cmd: 'x ${lr'}",
    "flags": "a: {cmd: 'python t.py ${args} --end'}",
    "flags in a list": "a: {cmd: ['python t.py ${args}', 'x ${train.opts}', 'y ${args.sub} ${sizes}']}",
    "wdir": "a: {cmd: x, wdir: 'd-${lr}'}",
    "several lines": 'a: {cmd: "x ${lr}\\ny ${\\n}"}',
    "stage vars": "a: {vars: [{v: 5}, more.yaml:more, 'odd.conf'], cmd: 'x ${v} ${more.x} ${odd} ${lr}'}",
    "vars in the wdir": "a: {wdir: sub, vars: [vars.yaml, {z: 1}], cmd: 'x ${inner} ${z} ${lr}'}",
    "wdir from a template": "a: {wdir: '${where}', vars: [vars.yaml], cmd: 'x ${inner}'}\nvars: [where: sub]",
    "same file twice": "a: {vars: [params.yaml, more.yaml, ./more.yaml], cmd: 'x ${other}'}\nvars: [more.yaml]",
    "parts of a file": "a: {vars: ['more.yaml:other'], cmd: 'x ${other} ${more.y}'}\nvars: ['more.yaml:more']",
    "merged": "a: {vars: [{args: {new: 1}}], cmd: 'x ${args.new} ${args.lr} ${train.epochs}'}\nvars: [train.toml]",
    "all loaders": "a: {cmd: 'x ${seed} ${Model.depth} ${Model.width} ${deep.a[1]} ${odd}'}\n"
    "vars: [const.py, deep.json, odd.conf, empty.yaml, {own: 1}]",
    "foreach list": "a: {foreach: [1, b, 2.50, true, null], do: {cmd: 'x ${item}', meta: '${item}'}}",
    "foreach taken": "a: {foreach: '${flags}', do: {cmd: 'x ${item}'}}",
    "foreach mixed": "a: {foreach: [true, '${flag}', 'm-${flag}', '${lr}'], do: {cmd: 'x ${item}'}}",
    "foreach twice": "a: {foreach: '${twice}', do: {cmd: 'x ${item}', meta: '${item}'}}",
    "foreach rows": "a: {foreach: '${rows}', do: {cmd: 'x ${item.n}'}}",
    "foreach written rows": "a: {foreach: [{n: '${lr}'}, [2], s, {t: {1: 2}}], do: {cmd: 'x ${lr}'}}",
    "foreach mapping": "a: {foreach: '${sizes}', do: {cmd: 'x ${key} ${item.n}', deps: ['${key}']}}",
    "foreach written mapping": "a: {foreach: {2: a, true: b, c: '${lr}'}, do: {cmd: 'x ${key} ${item}'}}",
    "foreach flags": "a: {foreach: '${sizes}', do: {cmd: 'x ${item}'}}",
    "foreach vars and wdir": "a: {foreach: [sub], do: {wdir: '${item}', vars: [vars.yaml], cmd: 'x ${inner}'}}",
    "foreach hides": "a: {foreach: [1], do: {cmd: 'x ${item} ${key}'}}\nb: {cmd: '${item}'}\nvars: [item: 9, key: 8]",
    "foreach nothing": "a: {foreach: [], do: {cmd: x}}",
    "matrix": "a: {matrix: {os: [linux, mac], n: [1, true, null]}, cmd: 'x ${item.os} ${item.n} ${key}'}",
    "matrix taken": "a: {matrix: {m: '${models}', f: '${flags}'}, cmd: 'x ${item.m}-${item.f}'}",
    "matrix composite": "a: {matrix: {r: '${rows}', l: [[1, 2], {k: '${flag}'}, '${flag}']}, cmd: 'x ${item.r.n}'}",
    "matrix of keys": "a: {matrix: {s: '${sizes}'}, cmd: 'x ${item.s}'}",
    "matrix twice": "a: {matrix: {s: '${twice}'}, cmd: 'x ${item.s}', meta: '${item.s}'}",
    "matrix of nothing": "a: {matrix: {s: []}, cmd: x}",
    "matrix vars": "a: {matrix: {s: [1]}, vars: [{v: 2}], cmd: 'x ${v} ${item.s}'}",
    "sections": "a: {cmd: x}\nparams: ['${text}.yaml']\nmetrics: ['${models[0]}', m]\n"
    "plots: [p, '${models}', {'${text}': {x: '${lr}', y: ['${text}', b]}}]\n"
    "artifacts: {'${text}': {path: '${models[1]}', labels: ['x-${args.sub}']}}",
}

REFUSED = {
    "unknown": "a: {cmd: 'x ${lrr}'}",
    "unknown below": "a: {cmd: 'x ${train.tree}'}",
    "index": "a: {cmd: 'x ${models[2]}'}",
    "index of text": "a: {cmd: 'x ${models.first}'}",
    "below a value": "a: {cmd: 'x ${lr.x}'}",
    "key of a number": "a: {cmd: 'x ${1}'}",
    "not text key": "a: {cmd: 'x ${train.opts.2}'}",
    "syntax": "a: {cmd: 'x ${}'}",
    "syntax dots": "a: {cmd: 'x ${lr..x}'}",
    "syntax brackets": "a: {cmd: 'x ${models[0}'}",
    "syntax after": "a: {cmd: 'x ${models[0]x}'}",
    "list": "a: {cmd: x, deps: ['${models}']}",
    "list in text": "a: {cmd: 'x ${models}'}",
    "mapping": "a: {cmd: x, deps: ['${args}']}",
    "mapping in text": "a: {cmd: x, deps: ['x-${args}']}",
    "nested list": "a: {cmd: 'x ${nested}'}",
    "wdir of stage vars": "a: {wdir: '${w}', vars: [{w: sub}], cmd: x}",
    "template in vars": "a: {cmd: x}\nvars: [{v: '${lr}'}]",
    "template in stage vars": "a: {cmd: x, vars: ['${text}']}",
    "set twice": "a: {cmd: x}\nvars: [{lr: 1}]",
    "set twice below": "a: {cmd: x}\nvars: [{args: {sub: {k: 2}}}]",
    "set twice kinds": "a: {cmd: x}\nvars: [{args: 1}]",
    "set twice in stage": "a: {cmd: x, vars: [more.yaml, {other: 3}]}",
    "part of a loaded file": "a: {cmd: x}\nvars: [more.yaml, 'more.yaml:more']",
    "loaded in part": "a: {cmd: x}\nvars: ['more.yaml:more', more.yaml]",
    "same part": "a: {cmd: x}\nvars: ['more.yaml:more', 'more.yaml:other,more']",
    "no key": "a: {cmd: x}\nvars: ['more.yaml:moore']",
    "no nested key": "a: {cmd: x}\nvars: ['more.yaml:more.x']",
    "no file": "a: {cmd: x}\nvars: [absent.yaml]",
    "a directory": "a: {cmd: x}\nvars: [sub]",
    "not a mapping": "a: {cmd: x}\nvars: [list.yaml]",
    "foreach text": "a: {foreach: abc, do: {cmd: x}}",
    "foreach value": "a: {foreach: '${lr}', do: {cmd: x}}",
    "foreach unknown": "a: {foreach: '${no}', do: {cmd: x}}",
    "foreach without do": "a: {foreach: [1]}",
    "foreach and matrix": "a: {foreach: [1], matrix: {a: [1]}, do: {cmd: x}}",
    "foreach item": "a: {foreach: '${rows}', do: {cmd: '${item.m}'}}",
    "foreach key": "a: {foreach: [1], do: {cmd: '${key}'}}",
    "foreach reserved": "a: {foreach: [1], do: {vars: [{item: 1}], cmd: 'x'}}",
    "matrix reserved": "a: {matrix: {m: [1]}, vars: [{key: 1}], cmd: 'x'}",
    "matrix without axes": "a: {matrix: {}, cmd: x}",
    "empty item": "a: {foreach: [''], do: {cmd: x}}",
    "at in an item": "a: {foreach: [b@c], do: {cmd: x}}",
    "at in a name": "a@b: {cmd: x}",
    "matrix unknown": "a: {matrix: {m: ['${no}']}, cmd: x}",
    "matrix value": "a: {matrix: {m: '${lr}'}, cmd: x}",
    "section": "a: {cmd: x}\nmetrics: ['${no}']",
    "artifact": "a: {cmd: x}\nartifacts: {'${lr}': {path: x}}",
}

STRICTER = {
    "a command that is only flags": ("a: {cmd: '${args}'}", "alone is a mapping"),
    "a matrix over letters": ("a: {matrix: {m: abc}, cmd: x}", "expected a list"),
}


def document(stages: str) -> str:
    """The stages below `stages:`; sections that a case gives after them stand at the top."""
    lines = stages.split("\n")
    inside = [line for line in lines if line.startswith(("a:", "b:", "a@b:"))]
    rest = [line for line in lines if line not in inside]
    return "\n".join(["stages:", *("  " + line for line in inside), *rest]) + "\n"


def lay_out(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(text))
    return root


def judge(cases: list[tuple[Path, FlagStyle]]) -> list[dict[str, Any]]:
    """What DVC makes of each directory, by one process."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON.relative_to(PYTHON.parents[3])} is not installed: run make tools")
    asked = json.dumps([(str(root), {"bool": style.booleans, "list": style.lists}) for root, style in cases])
    done = subprocess.run(
        [str(PYTHON), "-c", JUDGE], input=asked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def ours(root: Path, style: FlagStyle | None = None) -> dict[str, Any]:
    memory = StatCache(root / "stat.json")

    def read(at: str) -> Any:
        return read_document(root / at, at, memory)

    parsed = read("dvc.yaml")
    try:
        stages = expand_pipeline(parsed, folder="", read=read, style=style or FlagStyle())
        values = expand_values(parsed, folder="", read=read)
    except (FaultError, UsageError) as error:
        return {"error": str(error)}
    found = {"stages": {name: one.definition for name, one in stages.items()}, **values}
    return dict(json.loads(json.dumps(found)))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Each case's directory and what DVC says of it."""
    root = tmp_path_factory.mktemp("cases")
    written = {**RESOLVED, **REFUSED, **{name: text for name, (text, _) in STRICTER.items()}}
    folders = {
        name: lay_out(root / name, {**SHARED, "dvc.yaml": document(text)}) for name, text in written.items()
    }
    answers = judge([(folder, FlagStyle()) for folder in folders.values()])
    return {name: (folders[name], answer) for name, answer in zip(folders, answers, strict=True)}


@pytest.mark.parametrize("name", RESOLVED)
def test_a_document_expands_as_dvc_expands_it(theirs, name):
    folder, answer = theirs[name]
    assert "error" not in answer, answer
    assert ours(folder) == answer
    assert list(ours(folder)["stages"]) == list(answer["stages"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_dvc_refuses_is_refused(theirs, name):
    folder, answer = theirs[name]
    assert "error" in answer
    assert "error" in ours(folder)


@pytest.mark.parametrize("name", STRICTER)
def test_a_mistake_that_dvc_lets_pass_is_named(theirs, name):
    folder, answer = theirs[name]
    assert "error" not in answer
    assert STRICTER[name][1] in ours(folder)["error"]


def test_flags_follow_the_settings_of_dvc(tmp_path):
    root = lay_out(tmp_path, {**SHARED, "dvc.yaml": document(RESOLVED["flags in a list"])})
    styles = [FlagStyle(b, n) for b in ("store_true", "boolean_optional") for n in ("nargs", "append")]
    assert [ours(root, style) for style in styles] == judge([(root, style) for style in styles])


NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("a '\"${}\\.-\n", max_size=6),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
STEPS = st.one_of(NAMES.map(".{}".format), st.integers(-1, 2).map("[{}]".format), st.sampled_from([" ", "."]))
TEMPLATES = st.builds(
    lambda name, steps, back: f"{back}${{{name}{''.join(steps)}}}",
    st.one_of(NAMES, st.sampled_from(["item", "key"])),
    st.lists(STEPS, max_size=2),
    st.sampled_from(["", "", "", "\\"]),
)
TEXTS = st.lists(TEMPLATES | st.sampled_from(["x ", "-", "$", "{"]), min_size=1, max_size=3).map("".join)
STAGES = st.builds(
    lambda cmd, desc, variables, group: {"cmd": cmd, "desc": desc, **variables, **group},
    TEXTS,
    TEXTS,
    st.just({}) | st.dictionaries(NAMES, VALUES, max_size=2).map(lambda found: {"vars": [found]}),
    st.just({})
    | st.dictionaries(NAMES, st.lists(VALUES | TEXTS, max_size=2), max_size=2).map(
        lambda found: {"matrix": found}
    ),
)
GROUPS = st.builds(
    lambda data, do: {"foreach": data, "do": do},
    TEMPLATES | st.lists(VALUES | TEXTS, max_size=3) | st.dictionaries(NAMES, VALUES | TEXTS, max_size=2),
    st.builds(lambda cmd: {"cmd": cmd}, TEXTS),
)
DOCUMENTS = st.tuples(st.dictionaries(NAMES, VALUES, max_size=3), STAGES | GROUPS)


def test_random_documents_expand_as_dvc_expands_them(tmp_path):
    made: list[Path] = []

    @settings(max_examples=300, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(DOCUMENTS)
    def collect(pair):
        params, stage = pair
        files = {"params.yaml": json.dumps(params), "dvc.yaml": json.dumps({"stages": {"s": stage}})}
        made.append(lay_out(tmp_path / str(len(made)), files))

    collect()
    answers = judge([(root, FlagStyle()) for root in made])
    resolved = 0
    for root, answer in zip(made, answers, strict=True):
        shown = (root / "params.yaml").read_text() + (root / "dvc.yaml").read_text()
        if "error" in answer:
            assert "error" in ours(root), shown
        elif "alone is a mapping" not in ours(root).get("error", ""):
            assert ours(root) == answer, shown
            resolved += 1
    assert resolved > len(made) / 10


PARAMS_JUDGE = """
import json, sys
import dpath
from dvc.utils.serialize import parse_py

def look_up(values, key):
    try:
        return [dpath.get(values, key, separator=".")]
    except (KeyError, ValueError):
        return []

asked = json.load(sys.stdin)
print(json.dumps([[look_up(*case) for case in asked["keys"]], parse_py(asked["python"], "p.py")]))
"""

PYTHON_PARAMS = '''
lr = -0.1
typed: "float" = 1e-3
declared: int
pair = (1, (2, "x"))
mapping = {"x": (1, 2), "y": {"z": +1}}
first, second = 1, 2
both = either = 3
computed = 1 + 2
called = int("1")
text = "a" "b"
self.outside = 4
other.outside = 4


class Model(object):
    """Words."""

    depth: int = 1
    lr = lr

    class Inner:
        width = [1, None, [True]]

        def __init__(self):
            self.z = 1

    def __init__(self, rate=1):
        self.rate = 5
        self.typed: int = 6
        self.deep.rate = 7
        local = 8

        class Local:
            x = 1

    async def method(self):
        self.never = 1


if lr:
    never = 1
'''


def test_dotted_keys_and_python_files_read_as_dvc_reads_them(tmp_path):
    if not PYTHON.exists():
        pytest.fail("DVC is not installed: run make tools")
    asked: list[tuple[Any, str]] = []

    @settings(max_examples=500, database=None, deadline=None, phases=[Phase.generate])
    @given(
        st.dictionaries(NAMES, VALUES, max_size=3),
        st.lists(st.sampled_from(["a", "b", "c", "0", "1", "-1", "*", "[ab]", "?"]), min_size=1, max_size=4),
        st.sampled_from(["", "."]),
    )
    def collect(values, steps, before):
        asked.append((values, before + ".".join(steps)))

    collect()
    done = subprocess.run(
        [str(PYTHON), "-c", PARAMS_JUDGE],
        input=json.dumps({"keys": asked, "python": PYTHON_PARAMS}),
        capture_output=True,
        text=True,
        check=True,
    )
    found, python = json.loads(done.stdout)
    for (values, key), wanted in zip(asked, found, strict=True):
        value = look_up(values, key)
        assert ([] if value is ABSENT else [value]) == wanted, (values, key)
    assert load_python_params(PYTHON_PARAMS, "p.py") == python
