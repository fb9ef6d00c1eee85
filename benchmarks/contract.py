"""The data contract on 1,000,000 rows x 50 columns of Parquet, next to pandera and Great Expectations; one row.

    python benchmarks/contract.py [--rows 1000000] [--rounds 3]

The same rules for all: no nulls in 42 columns, a range for 40 numeric ones, allowed values for 10 columns of text
(2 to 10,000 of them). Five rules are broken, each by a known number of values, and every tool must find exactly
these. A tool runs as a process of its own, from start to end, in its own environment below `.tools` (made on
first use); CPU is user plus system time, the lowest of the rounds; memory is the peak of the process.

A row is a decoded JSON object of 20 bounded numbers and 4 texts with 3 allowed values, or of 64 bounded numbers;
a wrong row breaks three rules. The matrix is what the endpoint has after parsing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np

from tidegate.data.contract import Column, Contract, render_contract
from tidegate.data.contract.bounds import compile_matrix
from tidegate.data.contract.rows import compile_rows
from tidegate.data.contract.rules import Check, Range

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".tools"
PACKAGES = {
    "pandera": ["pandera[polars]>=0.35"],
    "great-expectations": ["great_expectations>=1.24,<2", "pyarrow"],
}
SIZES = (2, 3, 5, 10, 20, 50, 100, 500, 2_000, 10_000)
PLANTED = {"n1": 100, "n7": 1, "s2": 50, "s9": 7, "n13": 11}
LOW, HIGH = -10.0, 10.0

PANDERA = """
import json, sys
import pandera.polars as pa, polars as pl
path, rules = sys.argv[1], json.load(open(sys.argv[2]))
columns = {}
for name, rule in rules.items():
    check = pa.Check.in_range(*rule["range"]) if "range" in rule else pa.Check.isin(rule["values"])
    columns[name] = pa.Column(checks=[check], nullable=rule["nullable"])
try:
    pa.DataFrameSchema(columns).validate(pl.read_parquet(path), lazy=True)
    found = {}
except pa.errors.SchemaErrors as error:
    found = {row["column"]: row["len"] for row in error.failure_cases.group_by("column").len().to_dicts()}
print(json.dumps(found))
"""
GREAT_EXPECTATIONS = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
import great_expectations as gx, pandas as pd
path, rules = sys.argv[1], json.load(open(sys.argv[2]))
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
batches = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
batch = batches.get_batch(batch_parameters={"dataframe": pd.read_parquet(path)})
suite = gx.ExpectationSuite(name="s")
for name, rule in rules.items():
    if not rule["nullable"]:
        suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column=name))
    if "range" in rule:
        low, high = rule["range"]
        suite.add_expectation(gx.expectations.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high))
    else:
        suite.add_expectation(gx.expectations.ExpectColumnValuesToBeInSet(column=name, value_set=rule["values"]))
found = {}
for result in batch.validate(suite, result_format="SUMMARY").results:
    count = result.result["unexpected_count"]
    if count:
        found[result.expectation_config.kwargs["column"]] = count
print(json.dumps(found))
"""


class Cost(NamedTuple):
    """What one run of a process took."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    found: dict[str, int]


def make_contract() -> Contract:
    """40 numeric columns, every fifth of which may be null, and 10 of text."""
    numeric = [
        Column(f"n{i}", "number", i % 5 != 0, "feature", (Check("range", Range(LOW, HIGH)),))
        for i in range(40)
    ]
    text = [
        Column(f"s{i}", "string", True, "feature", (Check("values", tuple(f"v{k}" for k in range(size))),))
        for i, size in enumerate(SIZES)
    ]
    return Contract("bench", (*numeric, *text))


def make_table(path: Path, rows: int) -> None:
    """Random rows that keep the contract but for the planted values."""
    numeric = [_planted(f"n{i}", _number(i), "99.5") for i in range(40)]
    text = [
        _planted(f"s{i}", f"'v' || floor(random() * {size})::int", "'odd'") for i, size in enumerate(SIZES)
    ]
    with duckdb.connect() as connection:
        connection.execute(f"copy (select {', '.join(numeric + text)} from range({rows}) t(i)) to '{path}'")


def _number(i: int) -> str:
    value = f"(random() - 0.5) * {1 + i % 9}"
    return value if i % 5 else f"case when random() < 0.1 then null else {value} end"


def _planted(name: str, value: str, odd: str) -> str:
    return f"case when i < {PLANTED.get(name, 0)} then {odd} else {value} end as {name}"


def install(tool: str) -> Path:
    """The Python of a tool's own environment."""
    python = TOOLS / tool / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(TOOLS / tool)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, *PACKAGES[tool]], check=True, stdout=sys.stderr)
    return python


def run(words: list[str], read: Callable[[str], dict[str, int]]) -> Cost:
    """One process from start to end; `read` makes its output the broken values by column."""
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        child = subprocess.Popen(words, stdout=out, stderr=subprocess.PIPE, text=True)
        complaint = child.stderr.read() if child.stderr else ""
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 3):
            raise RuntimeError(complaint[-2000:])
        out.seek(0)
        return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024, read(out.read()))


def read_ours(text: str) -> dict[str, int]:
    """The broken values by column in the output of `tidegate contract check --json`."""
    return {one["column"]: one["count"] for one in json.loads(text)["files"][0]["violations"]}


def read_theirs(text: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(text.splitlines()[-1])
    return found


def measure_tables(folder: Path, rows: int, rounds: int) -> dict[str, Cost]:
    """The cheapest run of each tool; a wrong finding fails the benchmark."""
    contract, path, rules = make_contract(), folder / "rows.parquet", folder / "rules.json"
    make_table(path, rows)
    (folder / "contract.odcs.yaml").write_text(render_contract(contract))
    rules.write_text(json.dumps({column.name: _rule(column) for column in contract.columns}))
    ours = [str(Path(sys.executable).with_name("tidegate")), "contract", "check", str(path), "--json"]
    commands: dict[str, tuple[list[str], Callable[[str], dict[str, int]]]] = {
        "tidegate contract check": ([*ours, "--contract", str(folder / "contract.odcs.yaml")], read_ours),
        "pandera, polars": ([str(install("pandera")), "-c", PANDERA, str(path), str(rules)], read_theirs),
        "great expectations, pandas": (
            [str(install("great-expectations")), "-c", GREAT_EXPECTATIONS, str(path), str(rules)],
            read_theirs,
        ),
    }
    best: dict[str, Cost] = {}
    for _ in range(rounds):
        for name, (words, read) in commands.items():
            cost = run(words, read)
            if cost.found != PLANTED:
                raise RuntimeError(f"{name} found {cost.found}, planted are {PLANTED}")
            best[name] = min(best.get(name, cost), cost, key=lambda one: one.cpu_s)
    return best


def _rule(column: Column) -> dict[str, Any]:
    (check,) = column.checks
    argument = [LOW, HIGH] if check.rule == "range" else list(check.argument)
    return {check.rule: argument, "nullable": not column.is_required}


def microseconds(step: Callable[[], object], rounds: int, *, calls: int = 20_000) -> float:
    """The lowest CPU microseconds of one call."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            step()
        best = min(best, (time.process_time() - began) * 1e6 / calls)
    return best


def measure_rows(rounds: int) -> dict[str, float]:
    """CPU microseconds of judging one row in each form."""
    bounded = (Check("range", Range(0.0, 16.0)),)
    small = tuple(Column(f"x{i}", "number", checks=bounded) for i in range(20)) + tuple(
        Column(f"c{i}", "string", checks=(Check("values", ("free", "pro", "team")),)) for i in range(4)
    )
    wide = Contract("wide", tuple(Column(f"x{i}", "number", checks=bounded) for i in range(64)))
    few, many, matrix = compile_rows(Contract("small", small)), compile_rows(wide), compile_matrix(wide)
    row: dict[str, Any] = {f"x{i}": i / 2 for i in range(20)} | {f"c{i}": "pro" for i in range(4)}
    wrong = row | {"x3": 17.0, "c1": "prp", "x9": None}
    pixels = {f"x{i}": i / 4 for i in range(64)}
    one, thousand = np.arange(64.0)[np.newaxis] / 4, np.tile(np.arange(64.0) / 4, (1000, 1))
    names = [f"rows[{i}]" for i in range(1000)]
    assert not few.violations(row) and not many.violations(pixels) and len(few.violations(wrong)) == 3
    return {
        "row of 24 fields, fine": microseconds(lambda: few.violations(row), rounds),
        "row of 24 fields, 3 wrong": microseconds(lambda: few.violations(wrong), rounds, calls=2_000),
        "row of 64 numbers, fine": microseconds(lambda: many.violations(pixels), rounds),
        "matrix 1 x 64, fine": microseconds(lambda: matrix.violations(one, names), rounds),
        "matrix 1000 x 64, a row": microseconds(lambda: matrix.violations(thousand, names), rounds, calls=500)
        / 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = measure_tables(Path(folder), chosen.rows, chosen.rounds)
    ours = costs["tidegate contract check"]
    print(f"{chosen.rows:,} rows x 50 columns, 92 checks, whole process")
    for name, cost in costs.items():
        times = f"{cost.cpu_s / ours.cpu_s:5.1f} x tidegate"
        print(f"{name:<27} {cost.cpu_s:6.2f} CPU s {cost.wall_s:6.2f} s {cost.peak_mb:6.0f} MB {times}")
    for name, cpu_us in measure_rows(chosen.rounds).items():
        print(f"{name:<27} {cpu_us:8.3f} CPU us")


if __name__ == "__main__":
    main()
