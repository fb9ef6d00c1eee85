"""The projects that the pipeline benchmarks work on."""

import os
import subprocess
import time
from pathlib import Path

from racing import DVC, Bench, Folder, Tool, spend

# longer than what a file's times cannot tell apart, after which clean projects are known as clean
SETTLE_S = 2.5
# run in a tool's own interpreter: counts the files below a directory that are opened
COUNTER = """\
import os, sys
top, module, *words = sys.argv[1:]
seen = set()
def hook(event, args):
    if event == "open" and str(args[0]).startswith((top, "raw/")) and os.path.isfile(args[0]):
        seen.add(str(args[0]))
sys.addaudithook(hook)
sys.argv = ["tool", *words]
try:
    import importlib
    code = importlib.import_module(module).main(*([words] if module == "dvc.cli" else []))
finally:
    print(len(seen), file=sys.__stderr__)
"""


def chain(root: Path, count: int, *, dep: str = "raw.txt") -> Path:
    """A project of stages that each read what the one before wrote, and one param."""
    return write(
        root, [(f"s{n}", f"echo {n} > o{n}", f"o{n - 1}" if n else dep, f"o{n}") for n in range(count)]
    )


def write(root: Path, stages: list[tuple[str, str, str, str]]) -> Path:
    lines = ["stages:"]
    for name, cmd, dep, out in stages:
        lines += [
            f"  {name}:",
            f"    cmd: {cmd}",
            f"    deps: [{dep}]",
            "    params: [trees]",
            f"    outs: [{out}]",
        ]
    (root / "dvc.yaml").write_text("\n".join(lines) + "\n")
    (root / "params.yaml").write_text("trees: 10\n")
    (root / "raw.txt").write_text("one\n")
    return begin(root, "")


def begin(root: Path, config: str) -> Path:
    """Make a repository of git and dvc of the folder."""
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    (root / ".dvc" / "config").write_text(config)
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    return root


def settled(bench: Bench, root: Path) -> Path:
    """Bring a project up to date, and let so much time pass that both tools know that it is."""
    spend([str(bench.ours.program), "repro"], root)
    time.sleep(SETTLE_S)
    for tool in bench.tools:
        for verb in ("repro", "status"):
            spend([str(tool.program), verb], root)
    time.sleep(SETTLE_S)
    spend([str(bench.ours.program), "status"], root)
    return root


def always(root: Path) -> Folder:
    """Both tools work in one project."""
    return lambda tool: root


def spread(top: Path, count: int, size: int) -> None:
    """Files of different content in a hundred folders."""
    for number in range(min(count, 100)):
        (top / f"{number:02}").mkdir(parents=True)
    for number in range(count):
        (top / f"{number % 100:02}" / f"{number}.txt").write_bytes(
            os.urandom(16).hex().encode() * (size // 32)
        )


def count_opened(tool: Tool, root: Path) -> str:
    module = "dvc.cli" if tool.name == DVC else "tidegate.cli.start"
    words = [str(tool.python), "-c", COUNTER, f"{root}/raw/", module, "status"]
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": f"{root}.site"}
    done = subprocess.run(words, cwd=root, env=env, capture_output=True, text=True, check=False)
    return done.stderr.split()[-1]
