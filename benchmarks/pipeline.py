"""The pipeline engine and data versioning: tidegate next to dvc, in the same run and on the same files.

    python benchmarks/pipeline.py [--quick] [--cases noop,dirs,...] [--rounds 3] [--tidegate PATH]

CPU is user plus system time of a process and its children, in seconds: that of the call which took least, of all
rounds, in which the two take turns. tidegate is a wheel of this working tree in an environment of its own, made by
the newest pip and without setuptools, unless the path of another one is given. No program in Python takes less than
Python's own start, so that is printed as well. Nothing is deleted before the end: for minutes after files were
deleted, ext4 takes up to 30 times as long to make new ones. A copy of few large files is the exception.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from projects import SETTLE_S, always, begin, chain, count_opened, settled, spread, write
from racing import DVC, HERE, TIDEGATE, Bench, Spent, Tool, head, line, race, spend

MIB = 1 << 20


class Sizes(NamedTuple):
    """How large each case is."""

    stages: tuple[int, ...] = (2, 200)
    files: tuple[int, ...] = (1_000, 10_000, 100_000)
    carried: int = 10_000
    large_mib: int = 2048
    scratch: tuple[int, ...] = (40, 200)


QUICK = Sizes((2, 20), (1_000,), 500, 64, (10,))


def noop(bench: Bench, sizes: Sizes) -> None:
    bare = min(spend([str(bench.ours.python), "-c", "pass"], bench.folder).cpu for _ in range(9))
    head(f"nothing to do, a chain of stages with a param each (python -c pass: {bare:.3f} CPU s)")
    for count in sizes.stages:
        root = settled(bench, chain(bench.fresh(f"noop{count}"), count))
        for verb in ("status", "repro"):
            best = race(bench, [verb], always(root))
            beyond = best[TIDEGATE].cpu - bare, best[DVC].cpu - bare
            ratio = f"{beyond[1] / beyond[0]:.0f}x" if beyond[0] > 0.001 else "more than can be measured"
            line(f"{verb}, {count} stages", best, f"beyond Python's start: {ratio}")


def dirs(bench: Bench, sizes: Sizes) -> None:
    head("nothing to do, one dep is a directory of 1 KB files")
    for count in sizes.files:
        root = bench.fresh(f"dirs{count}")
        spread(root / "raw", count, 1024)
        settled(bench, chain(root, 2, dep="raw"))
        for verb in ("status", "repro"):
            line(f"{verb}, {count:,} files", race(bench, [verb], always(root)))


def changed(bench: Bench, sizes: Sizes) -> None:
    """Like `dirs`, whose largest project it uses."""
    root = bench.folder / f"dirs{sizes.files[-1]}"
    if not root.exists():
        spread(root / "raw", sizes.files[-1], 1024)
        settled(bench, chain(root, 2, dep="raw"))
    head(f"one of {sizes.files[-1]:,} files changed")

    def touch(tool: Tool) -> None:
        (root / "raw" / "07" / "7.txt").write_text(f"{time.time_ns()}")

    line("status", race(bench, ["status"], lambda tool: root, ready=touch))
    for tool in bench.tools:
        touch(tool)
        print(f"  files opened by {tool.name} status: {count_opened(tool, root)}")


def carry(bench: Bench, sizes: Sizes, link: str = "copy") -> None:
    """The way of a directory of data to a remote and back, each tool in a project of its own."""
    head(f"{sizes.carried:,} files of 10 KB, cache.type {link}, the remote a local directory")
    roots = {tool: bench.folder / f"carry-{tool.name}" for tool in bench.tools}
    remotes = {tool: bench.folder / f"remote-{tool.name}" for tool in bench.tools}

    def start_over(tool: Tool) -> None:
        bench.discard(Path(f"{roots[tool]}.site"), remotes[tool])
        root = bench.fresh(roots[tool].name)
        spread(root / "data", sizes.carried, 10_240)
        config = f"[core]\n    remote = r\n[cache]\n    type = {link}\n"
        begin(root, f"{config}['remote \"r\"']\n    url = {remotes[tool]}\n")
        os.sync()

    def without(*names: str) -> Callable[[Tool], None]:
        def remove(tool: Tool) -> None:
            bench.discard(*(roots[tool] / name for name in names))
            os.sync()

        return remove

    def without_remote(tool: Tool) -> None:
        bench.discard(remotes[tool])
        os.sync()

    line("add", race(bench, ["add", "data"], roots.__getitem__, ready=start_over))
    if link == "copy":
        line("push", race(bench, ["push"], roots.__getitem__, ready=without_remote))
    line("checkout, no data", race(bench, ["checkout"], roots.__getitem__, ready=without("data")))
    if link == "copy":
        emptied = without("data", ".dvc/cache")
        line("pull, no data and no cache", race(bench, ["pull"], roots.__getitem__, ready=emptied))
    time.sleep(SETTLE_S)
    for words in (
        ["add", "data"],
        ["checkout"],
        ["status"],
        *([["push"], ["pull"]] if link == "copy" else []),
    ):
        line(f"{words[0]} again", race(bench, words, roots.__getitem__))


def hardlink(bench: Bench, sizes: Sizes) -> None:
    carry(bench, sizes, "hardlink")


def large(bench: Bench, sizes: Sizes) -> None:
    """Twice, so that neither tool alone pays for memory that the machine never used before."""
    twice = bench._replace(rounds=min(bench.rounds, 2))
    roots = {tool: bench.fresh(f"large-{tool.name}") for tool in bench.tools}
    for root in roots.values():
        begin(root, "[cache]\n    type = copy\n")
        with (root / "data.bin").open("wb") as file:
            for _ in range(sizes.large_mib // 64):
                file.write(os.urandom(64 * MIB))
    os.sync()
    bare = [spend(["md5sum", "data.bin"], root) for root in roots.values()][-1]
    head(f"a file of {sizes.large_mib:,} MiB (md5sum: {bare.cpu:.2f} CPU s, {bare.wall:.2f} wall)")

    def forget(tool: Tool) -> None:
        for name in (".dvc/cache", ".tidegate"):
            shutil.rmtree(roots[tool] / name, ignore_errors=True)
        shutil.rmtree(f"{roots[tool]}.site", ignore_errors=True)
        os.sync()

    def lose(tool: Tool) -> None:
        (roots[tool] / "data.bin").unlink()
        os.sync()

    line("add, copied to the cache", race(twice, ["add", "data.bin"], roots.__getitem__, ready=forget))
    line("checkout, copied back", race(twice, ["checkout"], roots.__getitem__, ready=lose))
    for root in roots.values():
        (root / ".dvc" / "config").write_text("[cache]\n    type = hardlink\n")
    line("checkout, linked", race(twice, ["checkout"], roots.__getitem__, ready=lose))
    time.sleep(SETTLE_S)
    line("status again", race(twice, ["status"], roots.__getitem__))
    for root in roots.values():
        shutil.rmtree(root)


def scratch(bench: Bench, sizes: Sizes) -> None:
    head("repro from scratch, a chain of trivial stages")
    for count in sizes.scratch:
        once = bench._replace(rounds=min(bench.rounds, 1 if count > 100 else 2))
        roots = {tool: bench.folder / f"scratch-{tool.name}" for tool in bench.tools}

        def start_over(tool: Tool) -> None:
            chain(bench.fresh(roots[tool].name), count)  # noqa: B023
            os.sync()

        best = race(once, ["repro"], roots.__getitem__, ready=start_over)
        shells = alone(bench, count)
        line(f"repro, {count} stages", best)
        for name, one in best.items():
            cpu, wall = (
                (getattr(one, time) - getattr(shells, time)) / count * 1000 for time in ("cpu", "wall")
            )
            print(f"    {name}: {cpu:.1f} CPU ms, {wall:.1f} wall ms a stage beyond its shell")


def alone(bench: Bench, count: int) -> Spent:
    """The commands without an engine: bare Python that starts each one's shell."""
    root = chain(bench.fresh("alone"), count)
    call = f"import subprocess\nfor n in range({count}): subprocess.call(['/bin/sh', '-c', f'echo {{n}} > o{{n}}'])"
    return min((spend([str(bench.ours.python), "-c", call], root) for _ in range(3)), key=lambda one: one.cpu)


def parallel(bench: Bench, sizes: Sizes) -> None:
    print("\neight stages that sleep half a second, independent of each other: seconds of wall time")
    for title, tool, words in (
        ("tidegate repro", bench.ours, ["repro"]),
        ("tidegate repro -j 4", bench.ours, ["repro", "-j", "4"]),
        ("dvc repro (has no -j)", bench.tools[1], ["repro"]),
    ):
        root = bench.fresh("parallel")
        stages = [(f"s{n}", f"sleep 0.5; echo {n} > o{n}", "raw.txt", f"o{n}") for n in range(8)]
        write(root, stages)
        print(f"  {title:<34} {spend([str(tool.program), *words], root).wall:7.2f}", flush=True)


def second(bench: Bench, sizes: Sizes) -> None:
    """Without a dvc.lock, so that nothing but the run cache says what the outs are."""
    print("\na second machine that shares only the remote: commands that ran, CPU seconds")
    for tool in bench.tools:
        folder = bench.fresh("second")
        config = f"[core]\n    remote = r\n['remote \"r\"']\n    url = {folder / 'remote'}\n"
        ran = []
        for machine in ("one", "two"):
            root = folder / machine
            root.mkdir()
            stages = [
                (
                    f"s{n}",
                    f"echo x >> {folder}/ran; echo {n} > o{n}",
                    f"o{n - 1}" if n else "raw.txt",
                    f"o{n}",
                )
                for n in range(10)
            ]
            begin(write(root, stages), config)
            log = folder / "ran"
            log.write_text("")
            if machine == "one":
                spend([str(tool.program), "repro"], root)
                spend([str(tool.program), "push", "--run-cache"], root)
                ran.append(len(log.read_text().split()))
            else:
                fetch = spend([str(tool.program), "fetch", "--run-cache"], root)
                repro = spend([str(tool.program), "repro", "--pull"], root)
                ran.append(len(log.read_text().split()))
        print(
            f"  {tool.name:<10} first {ran[0]}, second {ran[1]}; "
            f"second: fetch --run-cache {fetch.cpu:.3f}, repro --pull {repro.cpu:.3f}",
            flush=True,
        )


CASES: dict[str, Callable[[Bench, Sizes], None]] = {
    "noop": noop,
    "dirs": dirs,
    "changed": changed,
    "carry": carry,
    "hardlink": hardlink,
    "large": large,
    "scratch": scratch,
    "parallel": parallel,
    "second": second,
}
SHORT = "noop,dirs,changed,carry,scratch,parallel,second"


def install(folder: Path) -> Path:
    """A wheel of the working tree, in an environment without anything else."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    # scripts of older ones import `re` before they import anything of ours
    subprocess.run([*pip, "--upgrade", "pip"], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(
        [pip[0], "uninstall", "--quiet", "--yes", "setuptools"], check=True, stderr=subprocess.DEVNULL
    )
    subprocess.run([*pip, str(HERE)], check=True, stderr=subprocess.DEVNULL)
    return folder / "bin" / "tidegate"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller, one round, no wheel: about a minute")
    parser.add_argument("--cases", help="which to run, by default all of them, or the shorter ones")
    parser.add_argument("--rounds", type=int, help="how often each command is timed")
    parser.add_argument("--tidegate", type=Path, help="the program to measure instead of a new wheel")
    parser.add_argument("--folder", type=Path, help="where to work, instead of the system's temporary folder")
    asked = parser.parse_args()
    rounds = asked.rounds or (1 if asked.quick else 3)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name).resolve()
        here = Path(sys.executable).with_name("tidegate") if asked.quick else None
        ours = asked.tidegate or here or install(folder / "env")
        tools = (Tool(TIDEGATE, ours), Tool(DVC, HERE / ".tools" / "dvc" / "bin" / "dvc"))
        print(describe(tools, rounds), flush=True)
        began = time.monotonic()
        for case in (asked.cases or (SHORT if asked.quick else ",".join(CASES))).split(","):
            CASES[case](Bench(tools, folder, rounds), QUICK if asked.quick else Sizes())
        print(f"\n{time.monotonic() - began:.0f} seconds in all")


def describe(tools: tuple[Tool, ...], rounds: int) -> str:
    versions = [
        subprocess.run(
            [tool.program, "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        for tool in tools
    ]
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{date.today()}: tidegate {versions[0]}, dvc {versions[1]}; {machine}; {rounds} rounds"


if __name__ == "__main__":
    main()
