"""Bad evaluation rows as one who runs `tidegate gate` meets them: a line that says what to mend, or a verdict."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from tidegate.cli.main import main
from tidegate.flow.judge import judge
from tidegate.flow.plan import plan
from tidegate.flow.release import apply

HEAD = "id,truth,prediction"
ROWS = [(n, n % 2, n % 2, 0.2 + 0.6 * (n % 2)) for n in range(400)]
MIN = '[[gate.rule]]\nkind = "min"\n'


class Gated(NamedTuple):
    """What `tidegate gate` printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def gate(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Gated]:
    """Run the command in the project."""
    monkeypatch.chdir(project)

    def run(*words: str) -> Gated:
        with pytest.raises(SystemExit) as end:
            main(["gate", *words])
        seen = capsys.readouterr()
        return Gated(int(end.value.code or 0), seen.out, seen.err)

    return run


def write(root: Path, text: str) -> None:
    (root / "experiments/metrics/evaluation.csv").write_text(text)


def table(rows: list[tuple[Any, ...]], head: str = f"{HEAD},score") -> str:
    return "\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n"


def rules(root: Path, text: str, task: str = "binary") -> None:
    (root / "tidegate.toml").write_text(
        f'[project]\nname = "tiny"\ntask = "{task}"\n[gate]\nerror = 0.05\n{text}'
    )


def findings(done: Gated) -> dict[str, dict[str, Any]]:
    return {found["check"]: found for found in json.loads(done.out)["findings"]}


NAN_SCORES = table([*ROWS[:3], (3, 1, 1, "nan"), *ROWS[4:]])
NO_SCORES = table([*ROWS[:3], (3, 1, 1, ""), *ROWS[4:]])
TWICE = table([*ROWS, (7, 1, 1, 0.8)])
WORDS = table([(n, "yes" if n % 2 else "no", "no", "high") for n in range(400)])


@pytest.mark.parametrize(
    ("text", "rule", "where", "message"),
    [
        (NAN_SCORES, 'metric = "auc"\nvalue = 0.5', "row 4", "column `score` holds `nan`, expected a number"),
        (NO_SCORES, 'metric = "auc"\nvalue = 0.5', "row 4", "column `score` holds nothing, expected a number"),
        (WORDS, 'metric = "auc"\nvalue = 0.5', "row 1", "column `score` holds `high`, expected a number"),
        (TWICE, "value = 0.5", "row 401", "id `7` came before in row 8, ids must be distinct"),
        ("", "value = 0.5", "evaluation.csv", "the file is empty, expected CSV"),
        (f"{HEAD}\n", "value = 0.5", "evaluation.csv", "no rows, the gate needs at least one"),
        ("id,truth\n1,1\n", "value = 0.5", "evaluation.csv", "no column `prediction`"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_judged_are_named_and_nothing_is_spent(
    project: Path, gate: Callable[..., Gated], text: str, rule: str, where: str, message: str
) -> None:
    rules(project, f"{MIN}{rule}\n")
    write(project, text)
    done = gate()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: evaluation.csv")
    assert where in done.err
    assert message in done.err
    write(project, table(ROWS))
    assert json.loads(gate("--json").out)["submission"] == 1


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        (WORDS, "regression", "row 1: column `truth` holds `no`, expected a number"),
        (table([(n, n / 7, n / 7, 0) for n in range(400)]), "binary", "400 classes"),
    ],
)
def test_truth_of_another_type_than_the_task_is_named(
    project: Path, gate: Callable[..., Gated], text: str, task: str, message: str
) -> None:
    metric = "mae" if task == "regression" else "accuracy"
    kind = "max" if task == "regression" else "min"
    rules(project, f'[[gate.rule]]\nkind = "{kind}"\nmetric = "{metric}"\nvalue = 0.5\n', task)
    write(project, text)
    done = gate()
    assert (done.code, message in done.err) == (2, True), done.err


@pytest.mark.parametrize("columns", ["id, truth, prediction", "1 as id"])
def test_a_parquet_file_without_rows_is_named(
    project: Path, gate: Callable[..., Gated], columns: str
) -> None:
    rules(project, f'{MIN}value = 0.5\n[data]\nevaluation = "empty.parquet"\n')
    made = "select 1 as id, 1 as truth, 1 as prediction" if "truth" in columns else "select 1 as id"
    duckdb.execute(f"copy (from ({made}) where false) to '{project}/empty.parquet'")
    done = gate()
    assert done.code == 2
    assert ("no rows, the gate needs at least one" if "truth" in columns else "no column `truth`") in done.err


def test_a_parquet_file_of_no_bytes_is_named(project: Path, gate: Callable[..., Gated]) -> None:
    rules(project, f'{MIN}value = 0.5\n[data]\nevaluation = "empty.parquet"\n')
    (project / "empty.parquet").touch()
    done = gate()
    assert (done.code, "empty.parquet: the file is empty, expected Parquet" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("auc", "class `1` has 0 rows, `auc` needs two rows of each class"),
        ("average_precision", "class `1` has 0 rows, `average_precision` needs two rows of each class"),
        ("f1", "no row is of class `1`, `f1` is about those"),
        ("recall", "no row is of class `1`, `recall` is about those"),
        ("precision", "no row is of class `1`, `precision` is about those"),
    ],
)
def test_a_class_that_is_missing_in_the_test_set_is_named_where_a_metric_is_about_it(
    project: Path, gate: Callable[..., Gated], metric: str, message: str
) -> None:
    rules(project, f'{MIN}metric = "{metric}"\nvalue = 0.5\n[data]\nlabels = ["0", "1"]\npositive = "1"\n')
    write(project, table([row for row in ROWS if row[1] == 0]))
    done = gate()
    assert (done.code, message in done.err) == (2, True), done.err


def test_a_class_that_no_row_has_is_judged_by_what_there_is(
    project: Path, gate: Callable[..., Gated]
) -> None:
    rules(project, f'{MIN}value = 0.5\n[data]\nlabels = ["0", "1", "2"]\n', "multiclass")
    write(project, table(ROWS))
    assert gate("--json").code == 0


@pytest.fixture
def released(project: Path) -> Path:
    """The project with its model live."""
    judge(project)
    plan(project)
    apply(project)
    return project


SLICED = """[[gate.rule]]
kind = "slices"
by = ["part"]
min_rows = {rows}
metric = "{metric}"
[data]
positive = "1"
"""


@pytest.mark.parametrize(
    ("metric", "rows", "said"),
    [
        ("accuracy", 50, "part=few (3 of 50 rows)"),
        ("accuracy", 1000, "no slice was tested"),
        ("f1", 10, "part=zeros (no row is of class `1`, `f1` is about those)"),
        ("auc", 10, "part=zeros (class `1` has 0 rows, `auc` needs two rows of each class)"),
        ("balanced_accuracy", 10, "part=few (3 of 10 rows)"),
    ],
)
def test_slices_that_cannot_be_tested_are_listed_and_the_rest_is_judged(
    released: Path, gate: Callable[..., Gated], metric: str, rows: int, said: str
) -> None:
    """One slice holds one class, another three rows."""
    rules(released, SLICED.format(metric=metric, rows=rows))
    part = ["few" if n < 3 else "zeros" if n % 2 == 0 and n > 200 else "both" for n in range(400)]
    answers = [(400 + n, n % 2, n % 2, 0.2 + 0.6 * (n % 2), part[n]) for n in range(400)]
    write(released, table(answers, f"{HEAD},score,part"))
    done = gate("--json")
    assert done.code == 0, done
    assert said in " ".join(found["because"] for found in findings(done).values())


def test_ids_that_differ_from_those_of_the_live_model_are_counted(
    released: Path, gate: Callable[..., Gated]
) -> None:
    write(released, table([(600 + n, n % 2, n % 2) for n in range(400)], HEAD))
    done = gate()
    assert done.code == 2
    assert "error: gate: live (400) and candidate (400) share 200 evaluation ids" in done.err
    assert "hint:  evaluate both on the same rows, or set `data.id`" in done.err
