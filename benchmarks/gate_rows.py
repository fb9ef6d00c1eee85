"""Gate time and memory for 100,000 and 10,000,000 evaluation rows, candidate and live model, from Parquet.

    python benchmarks/gate_rows.py [ROWS...]

Each line is a process of its own: read both files, pair them by id, judge the rules. `answers` are the rules of the
scaffold with churn (not_worse, min, slices over 8 regions, all exact); `scores` compares AUC (DeLong), log loss
(paired t) and Brier score (betting). The live model's file is in another order. Rows are held as codes of a byte and
numbers of 8 bytes, beside 64 bytes a row while a file is read and at most 1 GB of the database's own; peak memory
includes the interpreter and its libraries.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide
from tidegate.gate.read import read_rows, wanted_by
from tidegate.gate.rows import one_code
from tidegate.project import Churn, Data, Gate, Max, Min, NotWorse, Slices

GATES = {
    "answers": Gate(rule=(NotWorse(), Min(value=0.8), Slices(by=("region",)), Churn(max=0.3))),
    "scores": Gate(
        rule=(
            NotWorse(metric="auc", margin=0.01),
            NotWorse(metric="log_loss", margin=0.01),
            NotWorse(metric="brier", margin=0.01),
            Max(metric="calibration_error", value=0.6),
        )
    ),
}
SIZES = (100_000, 10_000_000)


def main() -> None:
    """Print a line for each gate and number of rows."""
    if sys.argv[1:2] == ["--one"]:
        judge(Path(sys.argv[2]), sys.argv[3])
        return
    sizes = tuple(int(word) for word in sys.argv[1:]) or SIZES
    print(f"{'rows':>12}  {'gate':<8}{'read s':>8}{'judge s':>9}{'CPU s':>8}{'peak MB':>9}  verdict")
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            make(Path(folder), n)
            for name in GATES:
                words = [sys.executable, __file__, "--one", folder, name]
                done = subprocess.run(words, check=True, capture_output=True, text=True)
                print(f"{n:>12,}  {name:<8}{done.stdout.rstrip()}", flush=True)


def make(folder: Path, n: int) -> None:
    """Two models that are right on about nine rows in ten, on the same rows."""
    import duckdb

    for name, salt in (("candidate", 1), ("live", 2)):
        wrong = f"(hash(i + {salt} * 1000003) % 100) < 10"
        score = f"((hash(i + {salt} * 7919) % 1000) / 2000.0)"
        query = f"""
            select i as id, truth, case when wrong then 1 - truth else truth end as prediction,
                case when (truth = 1) <> wrong then 1 - {score} else {score} end as score, region
            from (select i, (hash(i) % 2)::INT as truth, {wrong} as wrong, 'r' || (hash(i + 5) % 8) as region
                  from range({n}) t(i))
            {"order by hash(i)" if name == "live" else ""}
        """
        duckdb.sql(f"copy ({query}) to '{folder / name}.parquet' (format parquet)")


def judge(folder: Path, name: str) -> None:
    """Read, pair and judge once; say how long it took."""
    gate, began = GATES[name], time.perf_counter()
    wanted = wanted_by(gate, "binary")
    rows = [read_rows(folder / f"{one}.parquet", Data(), wanted) for one in ("candidate", "live")]
    assert rows[0].test_set == rows[1].test_set
    evidence, read = Evidence(*one_code(*rows)), time.perf_counter()
    decision = decide(gate, evidence, (), now=0.0, commit="")
    judged = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1000
    print(f"{read - began:8.2f}{judged - read:9.2f}{cpu:8.2f}{peak:9,.0f}  {decision.verdict}")


if __name__ == "__main__":
    main()
