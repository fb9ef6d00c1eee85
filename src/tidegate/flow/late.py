"""Late labels from a file or by hand, written where the gateways write theirs."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tidegate.data.tables import read_table
from tidegate.domain import Label
from tidegate.errors import UsageError, did_you_mean
from tidegate.store.layout import Layout
from tidegate.store.predictions import PredictionLog, known_requests

FRAME = 10_000


class Added(NamedTuple):
    """How many labels were added, and the requests among them that have no logged prediction."""

    accepted: int
    unknown: tuple[str, ...]


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


def add_labels(root: Path, labels: Sequence[tuple[str, str]]) -> Added:
    """Append labels (request, truth) to the log. The service need not be up."""
    now, folder = time.time(), Layout(root).log
    log = PredictionLog(folder, "cli")
    try:
        for start in range(0, len(labels), FRAME):
            log.write_labels([Label(request, now, truth) for request, truth in labels[start : start + FRAME]])
    finally:
        log.close()
    requests = dict.fromkeys(request for request, _ in labels)
    known = known_requests(folder, requests)
    return Added(len(labels), tuple(request for request in requests if request not in known))
