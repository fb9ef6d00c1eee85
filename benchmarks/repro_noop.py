"""A `repro` with nothing to do, tidegate next to dvc in one project.

    python benchmarks/repro_noop.py [--files 1000] [--stages 50] [--rounds 3]

The first stage reads a directory of `--files` small files; the others form a chain. CPU is user plus system
time, the lowest of the rounds; the two take turns.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = {
    "tidegate": [str(Path(sys.executable).with_name("tidegate")), "repro"],
    "dvc": [str(ROOT / ".tools" / "dvc" / "bin" / "dvc"), "repro"],
}


def cpu_seconds(words: list[str], cwd: Path) -> float:
    """User and system seconds of one call."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=cwd, env=env | {"DVC_NO_ANALYTICS": "1"}, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def make_project(root: Path, files: int, stages: int) -> None:
    """A chain of stages over a directory of small files, brought up to date."""
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    for number in range(files):
        path = root / "raw" / f"{number % 100:02}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 100)
    lines = ["stages:"]
    for number in range(stages):
        dep = f"o{number - 1}" if number else "raw"
        lines += [f"  s{number}:", f"    cmd: echo {number} > o{number}", f"    deps: [{dep}]"]
        lines += ["    params: [trees]", f"    outs: [o{number}]"]
    (root / "dvc.yaml").write_text("\n".join(lines) + "\n")
    (root / "params.yaml").write_text("trees: 10\n")
    cpu_seconds(TOOLS["tidegate"], root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--files", type=int, default=1000, help="files in the directory the first stage reads"
    )
    parser.add_argument("--stages", type=int, default=50, help="stages in the chain")
    parser.add_argument("--rounds", type=int, default=3, help="how often each tool is timed")
    chosen = parser.parse_args()
    best = dict.fromkeys(TOOLS, float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), chosen.files, chosen.stages)
        for number in range(chosen.rounds + 1):
            for name, words in TOOLS.items():
                seconds = cpu_seconds(words, Path(folder))
                best[name] = min(best[name], seconds) if number else best[name]
    print(f"{chosen.files:,} files, {chosen.stages} stages, nothing to do")
    for name, seconds in best.items():
        print(f"{name + ' repro':<16} {seconds:7.3f} CPU s")
    print(f"dvc / tidegate: {best['dvc'] / best['tidegate']:.1f}")


if __name__ == "__main__":
    main()
