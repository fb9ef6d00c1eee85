"""What Prometheus reads: the counts of one worker, and of workers that share a folder."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidegate.serve.record import BUCKETS_S, Metrics

COUNT_AND_RENDER = """
import sys
from pathlib import Path
from tidegate.serve.record import Metrics
folder, name, requests, release, weight, dropped, now = sys.argv[1:]
metrics = Metrics(Path(folder), name)
for _ in range(int(requests)):
    metrics.count("/predict", 200, "stable", seconds=0.002)
metrics.note(release=int(release), weight=float(weight), dropped=int(dropped))
metrics.save(float(now))
print(metrics.render().decode())
"""


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The values of one sample by its labels' values: path, status, role, bound."""
    families = text_string_to_metric_families(text)
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {
        tuple(
            one.labels[label] for label in ("path", "status", "role", "le") if label in one.labels
        ): one.value
        for one in found
    }


def told(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    return samples(metrics.render().decode(), name)


def worker(folder: Path, *words: object) -> str:
    """What a worker of its own process renders once it has counted."""
    command = [sys.executable, "-c", COUNT_AND_RENDER, str(folder), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_replies_are_counted_by_path_status_and_role() -> None:
    metrics = Metrics()
    replies: Iterable[tuple[str, int, str]] = [
        ("/predict", 200, "stable"),
        ("/predict", 200, "stable"),
        ("/predict", 200, "canary"),
        ("refused", 400, ""),
    ]
    for path, status, role in replies:
        metrics.count(path, status, role, seconds=0.25)
    assert told(metrics, "tidegate_request_duration_seconds_count") == {
        ("/predict", "200", "stable"): 2,
        ("/predict", "200", "canary"): 1,
        ("refused", "400", ""): 1,
    }
    assert told(metrics, "tidegate_request_duration_seconds_sum")["/predict", "200", "stable"] == 0.5


def test_a_reply_falls_into_the_buckets_above_its_seconds() -> None:
    metrics = Metrics()
    metrics.count("/predict", 200, "stable", seconds=0.003)
    found = told(metrics, "tidegate_request_duration_seconds_bucket")
    assert {float(labels[-1]): value for labels, value in found.items()} == {
        bound: float(bound >= 0.003) for bound in (*BUCKETS_S, float("inf"))
    }


def test_what_is_live_is_the_last_that_was_noted() -> None:
    metrics = Metrics()
    metrics.note(release=3, weight=0.5, dropped=0)
    metrics.note(release=4, weight=0.0, dropped=0)
    assert told(metrics, "tidegate_release") == {(): 4}
    assert told(metrics, "tidegate_canary_weight") == {(): 0}


def test_dropped_rows_are_counted_once() -> None:
    metrics = Metrics()
    for dropped in (0, 2, 2, 5):
        metrics.note(release=1, weight=0.0, dropped=dropped)
    assert told(metrics, "tidegate_log_dropped_rows_total") == {(): 5}


def test_two_workers_of_this_process_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.count("/predict", 200, "stable", seconds=0.1)
    assert told(other, "tidegate_request_duration_seconds_count") == {}


def test_workers_that_share_a_folder_count_together(tmp_path) -> None:
    assert samples(worker(tmp_path, "one", 2, 1, 0.0, 1, 10), "tidegate_request_duration_seconds_count") == {
        ("/predict", "200", "stable"): 2
    }
    both = worker(tmp_path, "two", 3, 1, 0.0, 4, 11)
    assert samples(both, "tidegate_request_duration_seconds_count") == {("/predict", "200", "stable"): 5}
    assert samples(both, "tidegate_log_dropped_rows_total") == {(): 5}


def test_a_worker_that_is_started_again_goes_on_counting(tmp_path) -> None:
    worker(tmp_path, "one", 2, 1, 0.0, 1, 10)
    again = worker(tmp_path, "one", 3, 1, 0.0, 0, 11)
    assert samples(again, "tidegate_request_duration_seconds_count") == {("/predict", "200", "stable"): 5}
    assert samples(again, "tidegate_log_dropped_rows_total") == {(): 1}


def test_a_worker_that_died_in_a_rollout_leaves_no_weight_behind(tmp_path) -> None:
    worker(tmp_path, "one", 1, 3, 0.5, 0, 10)
    after = worker(tmp_path, "two", 1, 4, 0.0, 0, 11)
    assert samples(after, "tidegate_canary_weight") == {(): 0}
    assert samples(after, "tidegate_release") == {(): 4}


@pytest.mark.parametrize("left", [b"", b"{", b"[]"])
def test_a_torn_file_of_counts_is_left_out(tmp_path, left) -> None:
    (tmp_path / "gone.metrics").write_bytes(left)
    found = worker(tmp_path, "one", 2, 1, 0.0, 0, 10)
    assert samples(found, "tidegate_request_duration_seconds_count") == {("/predict", "200", "stable"): 2}


def test_batches_are_counted_by_version() -> None:
    metrics = Metrics()
    for rows in (1, 3, 64):
        metrics.batch(7, rows, seconds=0.002)
    assert told(metrics, "tidegate_batch_rows_sum") == {(): 68}
    assert told(metrics, "tidegate_predict_duration_seconds_count") == {(): 3}
