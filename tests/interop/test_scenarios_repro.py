"""Every way to run stages, with both tools in twin repositories: the same stages run, in the same order, to the same end."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

# each stage notes beside the repository that it ran
LOG = "echo $DVC_STAGE >> $DVC_ROOT/../ran"


def stages(text: str) -> str:
    lines = text.replace("LOG", LOG).strip("\n").splitlines()
    return "stages:\n" + "".join(f"  {line}\n" for line in lines)


CHAIN = {
    "dvc.yaml": stages(
        """
a: {cmd: LOG; cp in a.out, deps: [in], outs: [a.out]}
b: {cmd: LOG; cp a.out b.out, deps: [a.out], params: [p], outs: [b.out]}
c: {cmd: LOG; cat b.out other > c.out, deps: [b.out, other], outs: [c.out]}
d: {cmd: LOG; cp other d.out, deps: [other], outs: [d.out]}
"""
    ),
    "params.yaml": "p: 1\n",
    "in": "1",
    "other": "o",
}
# fails as long as `fine` is not there
FAILING = {
    "dvc.yaml": stages(
        """
a: {cmd: LOG; cp in a.out; test -e fine, deps: [in], outs: [a.out]}
b: {cmd: LOG; cp a.out b.out, deps: [a.out], outs: [b.out]}
c: {cmd: LOG; cp in c.out, deps: [in], outs: [c.out]}
"""
    ),
    "in": "1",
}
NESTED = {
    "dvc.yaml": stages("a: {cmd: LOG; cp in a.out, deps: [in], outs: [a.out]}"),
    "sub/dvc.yaml": stages(
        """
b: {cmd: LOG; cp ../a.out b.out, deps: [../a.out], outs: [b.out]}
c: {wdir: .., cmd: LOG; cp sub/b.out c.out, deps: [sub/b.out], outs: [c.out]}
"""
    ),
    "far/dvc.yaml": stages("d: {cmd: LOG; cp ../c.out d.out, deps: [../c.out], outs: [d.out]}"),
    "in": "1",
}
GROUPS = {
    "dvc.yaml": stages(
        """
g: {foreach: [x, y], do: {cmd: 'LOG; cp in ${item}.out', deps: [in], outs: ['${item}.out']}}
m: {matrix: {n: [1, 2]}, cmd: 'LOG; cp x.out m${item.n}', deps: [x.out], outs: ['m${item.n}']}
"""
    ),
    "in": "1",
}
CHANGED = {"in": "2"}

SCENARIOS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "a target and its needs": (CHAIN, ["repro b", CHANGED, "repro b", "repro"]),
    "a single stage": (CHAIN, ["repro", CHANGED, "repro -s b", "repro -s a", "repro -s c"]),
    "single stages in the order given": (CHAIN, ["!repro -s c b a", "repro", CHANGED, "repro -s c a"]),
    "downstream": (CHAIN, ["repro", CHANGED, {"other": "2"}, "repro --downstream b", "repro --downstream a"]),
    "the pipeline of a stage": (CHAIN, ["repro -p d", CHANGED, "repro -p b"]),
    "forced": (CHAIN, ["repro", "repro -f b", "repro -f"]),
    "forced alone": (CHAIN, ["repro", "repro -f -s b"]),
    "forced downstream": (CHAIN, ["repro", CHANGED, "repro --force-downstream c"]),
    "forced downstream of equal outs": (
        CHAIN,
        ["repro", {"params.yaml": "p: 2\n"}, "repro --force-downstream"],
    ),
    "the same outs stop the chain": (CHAIN, ["repro", {"params.yaml": "p: 2\n"}, "repro"]),
    "without the run cache": (CHAIN, ["repro", CHANGED, "repro", {"in": "1"}, "repro --no-run-cache"]),
    "back to inputs seen before": (CHAIN, ["repro", CHANGED, "repro", {"in": "1"}, "repro"]),
    "outs that are gone": (CHAIN, ["repro", {"a.out": None, "c.out": None}, "repro"]),
    "the lock is gone": (CHAIN, ["repro", {"dvc.lock": None}, "repro"]),
    "not committed, then committed": (CHAIN, ["repro --no-commit", "commit", "repro"]),
    "committed by force": (CHAIN, ["repro", CHANGED, "commit -f", "repro"]),
    "committed in part": (CHAIN, ["repro", CHANGED, "commit -f a", "repro"]),
    "planned only": (CHAIN, ["repro", "repro --dry", CHANGED, "repro --dry b"]),
    "allowed to be missing": (
        CHAIN,
        ["repro", {"in": None, "a.out": None}, "repro --allow-missing", {"params.yaml": "p: 2\n"}],
    ),
    "missing but made anew": (
        CHAIN,
        ["repro", CHANGED, "repro -s a", {"a.out": None, "b.out": None}, "!repro --allow-missing"],
    ),
    "missing and made anew alike": (
        CHAIN,
        ["repro", {"params.yaml": "p: 2\n"}, "repro -s b", {"b.out": None}, "repro --allow-missing"],
    ),
    "a command fails": (FAILING, ["!repro", {"fine": ""}, "repro"]),
    "a command fails again": (
        FAILING,
        [{"fine": ""}, "repro", CHANGED, {"fine": None}, "!repro", "!repro b"],
    ),
    "going on after a failure": (FAILING, ["!repro -k", {"fine": ""}, "repro -k"]),
    "ignoring a failure": (FAILING, ["repro --ignore-errors", {"fine": ""}, "repro"]),
    "the second of several commands fails": (
        {
            "dvc.yaml": stages("a: {cmd: [LOG, 'false', touch o], deps: [in], outs: [o]}"),
            "in": "1",
        },
        ["!repro"],
    ),
    "an out that no command makes": (
        {"dvc.yaml": stages("a: {cmd: LOG, deps: [in], outs: [o]}"), "in": "1"},
        ["!repro", {"o": "by hand"}, "!repro"],
    ),
    "a stage by its path": (NESTED, ["repro sub/dvc.yaml:c", CHANGED, "repro far/dvc.yaml"]),
    "standing in a directory": (
        NESTED,
        ["sub/: repro", CHANGED, "sub/: repro b", "sub/: repro ../far/dvc.yaml:d"],
    ),
    "all pipelines from a directory": (NESTED, ["far/: repro -P", CHANGED, "sub/: repro -P"]),
    "downstream across files": (NESTED, ["repro -P", CHANGED, "sub/: repro --downstream ../dvc.yaml:a"]),
    "a directory and all below": (NESTED, ["repro", "repro -R sub", CHANGED, "repro -R ."]),
    "one of a group": (GROUPS, ["repro g@x", CHANGED, "repro m@2"]),
    "a whole group": (GROUPS, ["repro g", "repro m", CHANGED, "repro g m"]),
    "stages by pattern": (GROUPS, ["repro --glob 'g@*'", "repro --glob 'm@[12]' 'g*'"]),
    "frozen and not any more": (CHAIN, ["repro", "freeze b", CHANGED, "repro", "unfreeze b", "repro"]),
    "frozen before it ever ran": (CHAIN, ["freeze b", "!repro", {"b.out": "mine"}, "repro"]),
    "status of some": (
        CHAIN,
        [
            *("=status --json a b", "=status --json -d c", "repro", CHANGED, {"b.out": "x", "other": "2"}),
            *("=status --json a b", "=status --json -d c", "=status --json b.out", "=status --json -d b.out"),
            *("=status --json c d", "=status --json -R .", "!status --json nothing", "!status --json in"),
        ],
    ),
    "status of groups": (
        GROUPS,
        ["repro", CHANGED, {"x.out": "by hand", "m1": None}, "=status --json g", "=status --json m@1 g@y"],
    ),
    "status from a directory": (
        NESTED,
        [
            *(
                "repro -P",
                CHANGED,
                {"sub/b.out": "x", "c.out": None, "far/d.out": None},
                "=sub/: status --json",
            ),
            *("=sub/: status --json b", "=far/: status --json ../sub/dvc.yaml", "=sub/: status --json b.out"),
            *("=sub/: status --json ../c.out", "=status --json -R sub", "=status --json sub/dvc.yaml:c"),
            *("=far/: status --json -d dvc.yaml:d", "=far/: status --json"),
        ],
    ),
    "status of data": (
        {**NESTED, "sub/big": "1", "sub/more/x": "1", "sub/more/y": "2"},
        [
            *("sub/: add big more", {"sub/more/x": "2", "sub/big": None}, "=sub/: status --json"),
            *("=status --json sub/big.dvc", "=sub/: status --json more", "=status --json sub/more/y"),
            *(
                "=status --json sub/more/x",
                "checkout --force sub/big.dvc sub/more.dvc",
                "=status --json sub/big.dvc sub/more.dvc",
            ),
        ],
    ),
    "differences between commits": (
        {**CHAIN, "big/x": "1", "big/y": "2"},
        [
            "add big",
            "repro",
            "git commit",
            "=diff --json",
            {"big/x": "2", "b.out": "by hand"},
            "=diff --json",
            "add big",
            "repro",
            "=diff --json",
            {"big/y": None, "big/z": "2"},
            "add big",
            "=diff --json --show-hash",
        ],
    ),
    "committing by hand": (
        CHAIN,
        ["repro", {"b.out": "by hand"}, "commit -f b", "repro", CHANGED, "!commit"],
    ),
    "removing a stage": (CHAIN, ["repro", "remove c", "repro", "remove d --outs"]),
}


@pytest.mark.parametrize(("files", "steps"), SCENARIOS.values(), ids=SCENARIOS)
def test_the_same_stages_run_to_the_same_end(judge: Callable[..., None], files: Any, steps: Any) -> None:
    judge(files, steps)
