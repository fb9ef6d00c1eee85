"""Late labels from a file or by hand, written where the gateways write theirs."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from tidegate.data.tables import read_table
from tidegate.domain import Label
from tidegate.errors import UsageError, did_you_mean
from tidegate.store.layout import Layout
from tidegate.store.predictions import PredictionLog


def read_label_file(path: Path) -> list[tuple[str, str]]:
    """Request ids and truths of a CSV or Parquet file with the columns `request` and `truth`."""
    table = read_table(path)
    for name in ("request", "truth"):
        if name not in table.columns:
            raise UsageError(path.name, f"no column `{name}`{did_you_mean(name, table.columns)}")
    return [
        (str(request), str(truth))
        for request, truth in zip(table.values["request"], table.values["truth"], strict=True)
    ]


def add_labels(root: Path, labels: Sequence[tuple[str, str]]) -> int:
    """Append labels (request, truth) to the log; how many. The service need not be up."""
    now = time.time()
    log = PredictionLog(Layout(root).log, f"cli-{os.getpid()}")
    try:
        log.write_labels([Label(request, now, truth) for request, truth in labels])
    finally:
        log.close()
    return len(labels)
