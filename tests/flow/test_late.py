"""Late labels from the command line land where the gateways write theirs."""

from pathlib import Path

import pytest

from tidegate.domain import Prediction
from tidegate.errors import NotFoundError, UsageError
from tidegate.flow.late import add_labels, read_label_file
from tidegate.store.layout import Layout
from tidegate.store.predictions import PredictionLog, compact, entry_of, read_labels


def test_labels_are_read_back_in_order(tmp_path: Path) -> None:
    assert add_labels(tmp_path, [("a", "1"), ("b", "2")]) == (2, ("a", "b"))
    rows, _ = read_labels(Layout(tmp_path).log)
    assert [(row.request, row.truth) for row in rows] == [("a", "1"), ("b", "2")]


def test_requests_without_a_prediction_are_named_once(tmp_path: Path) -> None:
    folder = Layout(tmp_path).log
    log = PredictionLog(folder, "w")
    for request in ("compacted", "fresh"):
        log.write([entry_of(Prediction(request, 1.0, "u", "e", "b", "stable", (), 1, (), 0.1, 200))])
        log.close()
        if request == "compacted":
            compact(folder, grace_s=0)
    labels = [(request, "1") for request in ("compacted", "x", "fresh", "x", "y")]
    assert add_labels(tmp_path, labels) == (5, ("x", "y"))


def test_a_file_needs_its_two_columns(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("request,truth,note\nr1,7,x\nr2,seven,y\n")
    assert read_label_file(file) == [("r1", "7"), ("r2", "seven")]
    file.write_text("request,turth\nr1,7\n")
    with pytest.raises(UsageError, match="did you mean `turth`"):
        read_label_file(file)
    with pytest.raises(NotFoundError, match="no such file"):
        read_label_file(tmp_path / "none.csv")
