"""CPU seconds of starting up: tidegate's commands that change nothing, next to dvc's and to bare Python.

    python benchmarks/startup.py [--rounds 7]

CPU is user plus system time of the process and its children, the lowest of the rounds; the commands take
turns, so that all of them meet the same machine.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIDEGATE = [str(Path(sys.executable).with_name("tidegate"))]
DVC = [str(ROOT / ".tools" / "dvc" / "bin" / "dvc")]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "tidegate --version": [*TIDEGATE, "--version"],
    "tidegate --help": [*TIDEGATE, "--help"],
    "tidegate repro": [*TIDEGATE, "repro"],
    "tidegate status": [*TIDEGATE, "status"],
    "dvc --version": [*DVC, "--version"],
    "dvc status": [*DVC, "status"],
}
RATIOS = (("dvc --version", "tidegate --version"), ("dvc status", "tidegate status"))
PIPELINE = """\
stages:
  prepare:
    cmd: cp raw.txt clean.txt
    deps: [raw.txt]
    outs: [clean.txt]
  train:
    cmd: cp clean.txt model.bin
    deps: [clean.txt]
    params: [trees]
    outs: [model.bin]
"""


def cpu_seconds(words: list[str], cwd: Path) -> float:
    """User and system seconds of one call, with compiled bytecode however this script was started."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=cwd, env=env | {"DVC_NO_ANALYTICS": "1"}, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def make_project(root: Path) -> None:
    """A project of two stages that is up to date."""
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "raw.txt").write_text("one")
    (root / "params.yaml").write_text("trees: 10\n")
    cpu_seconds([*TIDEGATE, "repro"], root)


def measure(root: Path, rounds: int) -> dict[str, float]:
    """The lowest CPU seconds of each command."""
    best = dict.fromkeys(COMMANDS, float("inf"))
    for number in range(rounds + 1):
        for name, words in COMMANDS.items():
            seconds = cpu_seconds(words, root)
            best[name] = min(best[name], seconds) if number else best[name]
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each command is timed")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder))
        best = measure(Path(folder), rounds)
    for name, seconds in best.items():
        print(f"{name:<20} {seconds:7.3f} CPU s  {seconds / best['python -c pass']:6.1f} x python")
    for slow, fast in RATIOS:
        print(f"{slow} / {fast}: {best[slow] / best[fast]:.1f}")


if __name__ == "__main__":
    main()
