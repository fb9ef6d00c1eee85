"""Logging every answer while SQL queries run over the log, next to SQLite and a Parquet writer.

    python benchmarks/prediction_log.py [--rows 200000] [--seconds 10]

A row is a prediction with 64 numbers, written 8 at a time as one turn of the event loop does. `full speed` is how
many rows a second get through; `at 10,000 rows/s` is what one call costs at that pace, in microseconds; MB is the
writer's peak. Meanwhile another process asks for counts and mean latency by role, again and again, as `tidegate
log query` does, and tidegate's compaction runs as in service. `group` waits for the disk: 64 callers at a time,
the time is until the reply may go out.

SQLite is in WAL mode, one transaction a call; with `synchronous=normal` it is safe from kill -9 as tidegate is,
with `full` from a power cut. The Parquet writer (pyarrow, zstd, a row group every 2,000 rows) is what a logger
without a format of its own does: a kill loses the buffer and leaves a file without a footer, and nothing can be
read before it is closed. Each tool must have every row in the end.
"""

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__)
TOOLS = HERE.parent.parent / ".tools"
BATCH = 8
PACE = 10_000
CALLERS = 64
GROUP = 2000
SQL = "select role, count(*), avg(latency_ms) from predictions group by role"
INPUTS = tuple(i / 7 for i in range(64))
SCORES = (0.05,) * 10
COLUMNS = (
    "request",
    "at",
    "unit",
    "endpoint",
    "bundle",
    "role",
    "inputs",
    "output",
    "scores",
    "latency_ms",
    "status",
)

Row = tuple[object, ...]
Write = Callable[[list[Row]], None]


class Sink(NamedTuple):
    """Where rows go: written, closed, and counted in the end."""

    write: Write
    close: Callable[[], None]
    count: Callable[[], int]


def make_rows(start: int) -> list[Row]:
    now = time.time()
    return [
        (f"{start + i:016x}", now, "ann", "digits", "b" * 64, "stable", INPUTS, "7", SCORES, 0.7, 200)
        for i in range(BATCH)
    ]


def open_tidegate(folder: Path) -> Sink:
    from tidegate.domain import Prediction
    from tidegate.store.predictions import PredictionLog, Question, ask, entry_of

    log = PredictionLog(folder, "gateway-0")
    count = Question("select count(*) from predictions", timeout_s=600)
    return Sink(
        lambda rows: log.write([entry_of(Prediction(*row)) for row in rows]) and None,
        log.close,
        lambda: ask(folder, count).rows[0][0],
    )


def open_sqlite(folder: Path, synchronous: str = "normal") -> Sink:
    import msgspec

    pack = msgspec.msgpack.encode
    db = sqlite3.connect(folder / "log.db", isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute(f"pragma synchronous = {synchronous}")
    db.execute(f"create table if not exists predictions ({', '.join(COLUMNS)})")
    insert = f"insert into predictions values ({', '.join('?' * len(COLUMNS))})"

    def write(rows: list[Row]) -> None:
        db.execute("begin")
        db.executemany(insert, [(*row[:6], pack(row[6]), row[7], pack(row[8]), *row[9:]) for row in rows])
        db.execute("commit")

    return Sink(write, lambda: None, lambda: db.execute("select count(*) from predictions").fetchone()[0])


def open_parquet(folder: Path) -> Sink:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = dict.fromkeys(COLUMNS, pa.string()) | dict.fromkeys(("at", "latency_ms"), pa.float64())
    kinds |= dict.fromkeys(("inputs", "scores"), pa.list_(pa.float64())) | {"status": pa.int16()}
    schema = pa.schema(list(kinds.items()))
    path = folder / "log.parquet"
    writer = pq.ParquetWriter(path, schema, compression="zstd")
    waiting: list[Row] = []

    def flush() -> None:
        columns = [
            pa.array(values, kind)
            for values, kind in zip(zip(*waiting, strict=True), kinds.values(), strict=True)
        ]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        waiting.clear()

    def write(rows: list[Row]) -> None:
        waiting.extend(rows)
        if len(waiting) >= GROUP:
            flush()

    def close() -> None:
        if waiting:
            flush()
        writer.close()

    return Sink(write, close, lambda: pq.read_metadata(path).num_rows)


SINKS: dict[str, Callable[[Path], Sink]] = {
    "tidegate": open_tidegate,
    "sqlite": open_sqlite,
    "pyarrow": open_parquet,
}


def feed(tool: str, folder: Path, rows: int, seconds: float) -> dict[str, float]:
    """Full speed for `rows`, then at the pace for `seconds`; what was measured."""
    sink = SINKS[tool](folder)
    began = time.perf_counter()
    for start in range(0, rows, BATCH):
        sink.write(make_rows(start))
    rate = rows / (time.perf_counter() - began)
    costs, written = [], rows
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        ahead = (written - rows) / PACE - now
        if ahead > 0:
            time.sleep(ahead)
        batch = make_rows(written)
        at = time.perf_counter()
        sink.write(batch)
        costs.append((time.perf_counter() - at) * 1e6)
        written += BATCH
    sink.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = sink.count()
    assert found == written, f"{tool}: {found} of {written} rows"
    return {"rate": rate, "pace": (written - rows) / seconds, "memory": memory} | quantiles(costs)


def quantiles(costs: Sequence[float]) -> dict[str, float]:
    ordered = sorted(costs)
    return {f"p{share}": ordered[int(len(ordered) * share / 100)] for share in (50, 99)} | {
        "max": ordered[-1]
    }


def feed_synced(folder: Path, seconds: float) -> dict[str, float]:
    """CALLERS at a time, each waits until its rows survive a power cut."""
    from tidegate.domain import Prediction
    from tidegate.store.predictions import Keeping, PredictionLog, entry_of

    log, costs, written = PredictionLog(folder, "gateway-0", Keeping(is_synced=True)), [], [0]

    async def call(end: float) -> None:
        while time.perf_counter() < end:
            entries = [entry_of(Prediction(*row)) for row in make_rows(written[0])]
            at = time.perf_counter()
            pending = log.write(entries)
            if pending:
                await pending
            costs.append((time.perf_counter() - at) * 1e6)
            written[0] += BATCH

    async def work() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(call(end) for _ in range(CALLERS)))

    asyncio.run(work())
    log.close()
    return {"rate": written[0] / seconds} | quantiles(costs)


def feed_sqlite_full(folder: Path, seconds: float) -> dict[str, float]:
    sink, costs, written = open_sqlite(folder, "full"), [], 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        rows = make_rows(written)
        at = time.perf_counter()
        sink.write(rows)
        costs.append((time.perf_counter() - at) * 1e6)
        written += BATCH
    return {"rate": written / seconds} | quantiles(costs)


def ask_forever(tool: str, folder: Path) -> None:
    """Answer the query again and again; a line for each answer."""
    from tidegate.errors import ConflictError
    from tidegate.store.predictions import Question, ask, compact

    while True:
        if tool == "sqlite":
            with sqlite3.connect(f"file:{folder}/log.db?mode=ro", uri=True) as db:
                rows = db.execute(SQL).fetchall()
        else:
            with suppress(ConflictError):
                compact(folder)
            rows = ask(folder, Question(SQL, timeout_s=600)).rows
        print(json.dumps(rows), flush=True)


def compact_forever(folder: Path) -> None:
    """What the watcher starts when much waits."""
    from tidegate.errors import ConflictError
    from tidegate.store.predictions import compact

    os.nice(10)
    while True:
        time.sleep(2)
        with suppress(ConflictError):
            compact(folder)


@contextmanager
def beside(*modes: Sequence[str]) -> Iterator[list[int]]:
    """Processes of this script that run while the block does; how many lines the first one printed."""
    lines = [0]
    with tempfile.TemporaryFile("w+") as said:
        running = [subprocess.Popen([sys.executable, str(HERE), *words], stdout=said) for words in modes]
        try:
            yield lines
        finally:
            for process in running:
                process.kill()
                process.wait()
            said.seek(0)
            lines[0] = len(said.readlines())


def run(tool: str, rows: int, seconds: float) -> tuple[dict[str, float], int]:
    """A tool in a process of its own, with readers beside it where it can have any."""
    with tempfile.TemporaryDirectory() as name:
        python = environment() if tool == "pyarrow" else sys.executable
        words = [
            python,
            str(HERE),
            "--feed",
            tool,
            "--folder",
            name,
            "--rows",
            str(rows),
            "--seconds",
            str(seconds),
        ]
        if tool == "sqlite":
            open_sqlite(Path(name))
        modes = [] if tool == "pyarrow" else [["--ask", tool, "--folder", name]]
        modes += [["--compact", "--folder", name]] if tool == "tidegate" else []
        with beside(*modes) as lines:
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout), lines[0]


def environment() -> str:
    """Python with pyarrow, made at first use."""
    folder = TOOLS / "pyarrow"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "pyarrow"], check=True)
    return str(python)


def compare(rows: int, seconds: float) -> None:
    print(f"{rows:,} rows at full speed, then {PACE:,} rows/s for {seconds:g} s, {BATCH} rows a call")
    for tool in SINKS:
        found, answers = run(tool, rows, seconds)
        queries = f"{answers} queries answered" if tool != "pyarrow" else "no query before the end"
        cost = f"p50 {found['p50']:7.1f}  p99 {found['p99']:8.1f}  max {found['max']:9.1f} us a call"
        speed = f"{tool:<16} {found['rate']:9,.0f} rows/s   at {found['pace']:6,.0f} rows/s"
        print(f"{speed} {cost}  {found['memory']:4.0f} MB  {queries}")
    for name, feeder in (("tidegate group", feed_synced), ("sqlite full", feed_sqlite_full)):
        with tempfile.TemporaryDirectory() as folder:
            found = feeder(Path(folder), seconds / 2)
        cost = f"p50 {found['p50']:7.1f}  p99 {found['p99']:8.1f}  max {found['max']:9.1f} us a call"
        callers = CALLERS if "group" in name else 1
        print(
            f"{name:<16} {found['rate']:9,.0f} rows/s   {callers} callers        {cost}   safe from a power cut"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000, help="rows at full speed")
    parser.add_argument("--seconds", type=float, default=10, help="how long at the pace")
    for name in ("--feed", "--ask", "--folder"):
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    parser.add_argument("--compact", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    folder = Path(chosen.folder)
    if chosen.feed:
        print(json.dumps(feed(chosen.feed, folder, chosen.rows, chosen.seconds)))
    elif chosen.ask:
        ask_forever(chosen.ask, folder)
    elif chosen.compact:
        compact_forever(folder)
    else:
        compare(chosen.rows, chosen.seconds)


if __name__ == "__main__":
    main()
