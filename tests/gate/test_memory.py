"""The memory that rows take is bounded by their number, as `gate/rows.py` says."""

import subprocess
import sys
from pathlib import Path

import duckdb

ROWS = 1_000_000
# 64 bytes a row while a file is read, 8 for a score, 4 for the place, 1 for each of truth, answer and region,
# for two files; the database's own buffers are half of what it may take at most
BOUND = ROWS * (64 + 2 * (8 + 4 + 3)) + 250_000_000
PROBE = """
import resource, sys
from pathlib import Path
import duckdb, numpy
from tidegate.gate.read import Wanted, read_rows
from tidegate.project import Data
with duckdb.connect() as connection:
    connection.execute("select 1").fetchnumpy()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wanted = Wanted("binary", values=("region",), scores=True)
rows = [read_rows(Path(path), Data(), wanted) for path in sys.argv[1:]]
assert rows[0].test_set == rows[1].test_set
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_a_million_rows_of_two_models_stay_within_their_bound(tmp_path: Path) -> None:
    paths = [tmp_path / "candidate.parquet", tmp_path / "live.parquet"]
    for path in paths:
        query = (
            "select i as id, (hash(i) % 2)::INT as truth, (hash(i + 1) % 2)::INT as prediction, "
            f"(hash(i) % 1000) / 1000 as score, 'r' || (hash(i) % 8) as region from range({ROWS}) t(i)"
        )
        duckdb.sql(f"copy ({query}) to '{path}' (format parquet)")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, paths)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < BOUND
