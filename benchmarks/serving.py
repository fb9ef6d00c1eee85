"""The gateway under load next to MLServer, MLflow, BentoML and LitServe, on the same models of scikit-learn.

    python benchmarks/serving.py [--rounds 3] [--seconds 1] [--models lr,rf] [--rows 1,64] [--connections 1,8,64]

Each server lives in an environment of its own below `.tools/bench` (made on first use) and is set up at its
best: access logs and metrics of the others are off, tidegate's prediction log, contract and metrics are on, in
one worker where nothing else is said. All take turns under `wrk`, with 16 bodies in turn, and are stopped
(SIGSTOP) while another one has its turn; a figure is the median of the rounds. CPU is that of all processes of
a server. Every answer is compared with the model's own before it starts, and a reply that is no success counts
as an error. Memory (PSS) is after the load, with both models in MLServer, BentoML and one of them in each of
the others; `ready` is from the start of the process to the first prediction, one server at a time.

scikit-learn answers from a child process of tidegate, with classes and probabilities; the others give classes.
`ONNX : mlserver` is how many times as many requests a second tidegate answers as the other server at its best;
where that is less than what is promised it says so. What the log's compaction costs, which `up` does beside
serving, is in `prediction_log`.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from peers.load import Slice, Target, ask, awake, family, memory_mb, press, pss_mb, running, wait_until_ready
from peers.servers import FIRST_PORT, NEEDS, OURS, Place, set_up, version_of
from peers.train import MODELS, SEEN
from sklearn.datasets import load_digits

BODIES = 16
TITLES = {"lr": "LogisticRegression", "rf": "RandomForest(100)"}
ONNX, SKLEARN = "tidegate, ONNX", "tidegate, scikit-learn"
# how many times as fast as another server, for one row of the logistic regression, by connections
PROMISED = {
    (ONNX, "mlserver"): {1: 5.0, 8: 8.0, 64: 12.0},
    **{(ONNX, tool): dict.fromkeys((1, 8, 64), 10.0) for tool in ("mlflow", "bentoml", "litserve")},
    (SKLEARN, "mlserver"): {1: 3.0, 8: 5.0, 64: 10.0},
}


class Cell(NamedTuple):
    """What is asked: a model, with so many rows a request, over so many connections."""

    model: str
    rows: int
    connections: int


class Seen(NamedTuple):
    """What one server needs apart from its speed."""

    ready_s: float
    memory_mb: float
    largest_mb: float
    processes: int


Found = dict[tuple[Cell, str], Slice]


class Bench(NamedTuple):
    """What runs: the targets, their processes, where the bodies lie, and how long a turn takes."""

    targets: Sequence[Target]
    processes: dict[str, int]
    folder: Path
    seconds: int

    def turn(self, target: Target, cell: Cell) -> Slice:
        """One turn of one server; what it wrote down is thrown away, as it would fill the disk."""
        bodies = self.folder / f"{target.path.strip('/').replace('/', '-')}-{target.tool}-{cell.rows}"
        if not bodies.exists():
            lines = (json.dumps(target.ask(rows)) for rows in bodies_of(cell.rows))
            bodies.write_text("\n".join(lines))
        process = self.processes[target.server.name]
        with awake(process):
            ask(target, bodies_of(1)[0])
            found = press(target, bodies, process, connections=cell.connections, seconds=self.seconds)
        for path in target.server.spool.glob("*") if target.server.spool else ():
            path.unlink()
        return found


def bodies_of(n: int) -> list[list[list[float]]]:
    """The rows of each request, none of which the models were trained on."""
    rows = load_digits().data[SEEN:].tolist()
    return [[rows[(i * n + j) % len(rows)] for j in range(n)] for i in range(BODIES)]


def main() -> int:
    """Set up, run, print; 1 when tidegate gave errors."""
    chosen = _arguments()
    tools = [OURS, *chosen.tools]
    print(", ".join(map(version_of, tools)), flush=True)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Place(Path(folder), itertools.count(FIRST_PORT))
        targets = [one for tool in tools for one in set_up(tool, place, chosen.models)]
        ready: dict[str, float] = {}
        processes: dict[str, int] = {}
        for target in targets:
            name = target.server.name
            if name not in processes:
                began = time.monotonic()
                processes[name] = stack.enter_context(running(target.server))
                ready[name] = wait_until_ready(target, bodies_of(1)[0], began)
            with awake(processes[name]):
                check_answers(target)
        cells = [Cell(*one) for one in itertools.product(chosen.models, chosen.rows, chosen.connections)]
        found = race(Bench(targets, processes, place.folder, chosen.seconds), cells, rounds=chosen.rounds)
        _print_speed(targets, cells, found)
        needs = {name: _needs(processes[name], ready[name]) for name in processes}
        _print_needs(needs)
        _print_bounds(found, needs)
    errors = sum(one.errors for one in found.values())
    print(f"\n{errors} errors")
    return 1 if any(one.errors for (_, title), one in found.items() if title.startswith(OURS)) else 0


def check_answers(target: Target) -> None:
    """Ask once with every body, which warms the server up; it must say what the model says."""
    model = _fitted(target.model)
    for body in (*bodies_of(1), *bodies_of(64)):
        status, reply = ask(target, body)
        answers = [int(one) for one in target.read(reply)] if status == 200 else reply
        if answers != model.predict(body).tolist():
            sys.exit(f"{target.title}, {target.model}: status {status}, {answers}")


@cache
def _fitted(model: str) -> Any:
    rows, truth = load_digits(return_X_y=True)
    return MODELS[model]().fit(rows[:SEEN], truth[:SEEN])


def race(bench: Bench, cells: Sequence[Cell], *, rounds: int) -> Found:
    """The median of the rounds, in which the servers take turns; errors are added up."""
    turns: dict[tuple[Cell, str], list[Slice]] = {}
    for _, cell in itertools.product(range(rounds), cells):
        for target in bench.targets:
            if target.model == cell.model and cell.connections >= target.fewest:
                turns.setdefault((cell, target.title), []).append(bench.turn(target, cell))
    return {key: _median(slices) for key, slices in turns.items()}


def _median(slices: Sequence[Slice]) -> Slice:
    *columns, errors = zip(*slices, strict=True)
    return Slice(*(statistics.median(column) for column in columns), sum(errors))


def _needs(process: int, ready_s: float) -> Seen:
    tree = family(process)
    return Seen(ready_s, memory_mb(process), max(map(pss_mb, tree)), len(tree))


def _print_speed(targets: Sequence[Target], cells: Sequence[Cell], found: Found) -> None:
    for model, rows in dict.fromkeys((cell.model, cell.rows) for cell in cells):
        asked = [cell for cell in cells if (cell.model, cell.rows) == (model, rows)]
        print(f"\n{TITLES[model]}, {rows} row{'s' * (rows > 1)} a request")
        print(f"{'':<24}" + "".join(f" | {f'connections: {cell.connections}':^37}" for cell in asked))
        print(f"{'':<24}" + f" | {'req/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>7} err" * len(asked))
        for title in dict.fromkeys(target.title for target in targets):
            print(f"{title:<24}" + "".join(_shown(found.get((cell, title))) for cell in asked))
        for ours in (ONNX, SKLEARN):
            for tool in dict.fromkeys(target.tool for target in targets if target.tool != OURS):
                ratios = "".join(f" | {_ratio(ours, tool, cell, found):<37}" for cell in asked)
                print(f"{ours.removeprefix('tidegate, ')} : {tool}".ljust(24) + ratios.rstrip())


def _shown(one: Slice | None) -> str:
    if one is None:
        return f" | {'':>37}"
    return f" | {one.rate:7.0f} {one.p50_ms:8.2f} {one.p99_ms:8.1f} {one.cpu_us:7.0f} {one.errors:3}"


def _ratio(ours: str, tool: str, cell: Cell, found: Found) -> str:
    """How many times as many requests as the tool at its best."""
    rates = [one.rate for (seen, title), one in found.items() if seen == cell and title.startswith(tool)]
    ratio = found[cell, ours].rate / max(rates)
    promised = PROMISED.get((ours, tool), {}).get(cell.connections)
    if (cell.model, cell.rows) != ("lr", 1) or promised is None:
        return f"{ratio:6.1f} x"
    return f"{ratio:6.1f} x, promised {promised:g} x{'' if ratio >= promised else ', MISSED'}"


def _print_needs(needs: dict[str, Seen]) -> None:
    print(f"\n{'':<24} {'ready s':>8} {'memory MB':>10} {'largest process MB':>19} {'processes':>10}")
    for name, seen in needs.items():
        sizes = f"{seen.memory_mb:10.0f} {seen.largest_mb:19.0f} {seen.processes:10}"
        print(f"{name:<24} {seen.ready_s:8.2f} {sizes}")


def _print_bounds(found: Found, needs: dict[str, Seen]) -> None:
    """What is promised of ONNX, one row of the logistic regression at a time, as far as it was measured."""
    own = {
        cell.connections: one for (cell, title), one in found.items() if (*cell[:2], title) == ("lr", 1, ONNX)
    }
    if not own:
        return
    fewest, most, seen = own[min(own)], own[max(own)], needs["tidegate-lr-onnx"]
    rates = [own[connections].rate for connections in sorted(own)]
    print()
    _print_bound(f"p50 with {min(own)} connection, ms", fewest.p50_ms, 0.3)
    _print_bound(f"CPU with {max(own)} connections, us", most.cpu_us, 60)
    _print_bound("memory of a worker, MB", seen.largest_mb, 100)
    _print_bound("ready after, s", seen.ready_s, 1)
    print(f"{'req/s rises with connections':<32} {'yes' if rates == sorted(rates) else 'no, MISSED':>8}")


def _print_bound(title: str, value: float, most: float) -> None:
    print(f"{title:<32} {value:8.2f}, promised at most {most:g}{'' if value <= most else ', MISSED'}")


def _arguments() -> argparse.Namespace:
    def listed(text: str) -> list[str]:
        return [word for word in text.split(",") if word]

    def numbers(text: str) -> list[int]:
        return [int(word) for word in listed(text)]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each server takes its turn")
    parser.add_argument("--seconds", type=int, default=1, help="how long a turn is")
    parser.add_argument("--models", type=listed, default=list(MODELS), help="of lr and rf")
    parser.add_argument("--rows", type=numbers, default=[1, 64], help="rows a request")
    parser.add_argument("--connections", type=numbers, default=[1, 8, 64])
    parser.add_argument("--tools", type=listed, default=list(NEEDS), help="the others")
    return parser.parse_args()


if __name__ == "__main__":
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: apt-get install wrk")
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
