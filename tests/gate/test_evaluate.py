"""Evaluation rows: read from CSV and Parquet alike, refused with row and column, digested in any order."""

import random

import pytest

from tidegate.errors import NotFoundError, UsageError
from tidegate.gate import evaluate as subject
from tidegate.gate.evaluate import Rows, evaluate, match, read_rows, right, rows_digest
from tidegate.project import Data

CSV = "id,truth,prediction,score,region\n7,3,3,0.9,north\n8,4,3,0.6,south\n9,5,5,0.7,north\n"


@pytest.fixture
def read(tmp_path):
    def read_text(text: str, data: Data = Data()) -> Rows:  # noqa: B008 - a frozen record
        path = tmp_path / "evaluation.csv"
        path.write_text(text)
        return read_rows(path, data)

    return read_text


def shuffled(rows: Rows, seed: int) -> Rows:
    order = list(range(len(rows.ids)))
    random.Random(seed).shuffle(order)
    columns = {name: tuple(cells[i] for i in order) for name, cells in rows.columns.items()}
    return Rows(*(tuple(cells[i] for i in order) for cells in rows[:3]), columns)


def test_rows_are_read_under_the_projects_column_names(read):
    renamed = CSV.replace("id,truth,prediction", "key,label,answer")
    found = read(renamed, Data(id="key", truth="label", prediction="answer"))
    assert found.ids == ("7", "8", "9")
    assert found.truth == ("3", "4", "5")
    assert found.prediction == ("3", "3", "5")
    assert found.columns["region"] == ("north", "south", "north")
    assert found.columns["label"] == found.truth


def test_a_parquet_file_reads_like_its_csv(read, tmp_path):
    import duckdb

    from_csv = read(CSV)
    path = tmp_path / "evaluation.parquet"
    source = f"SELECT id, truth::DOUBLE AS truth, prediction, score, region FROM '{tmp_path}/evaluation.csv'"
    duckdb.sql(f"COPY ({source}) TO '{path}' (FORMAT parquet)")
    assert rows_digest(read_rows(path, Data())) == rows_digest(from_csv)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (
            "id,truth,predicton\n1,2,3\n",
            "evaluation.csv",
            "no column `prediction`, did you mean `predicton`?",
        ),
        ("a,b\n1,2\n", "evaluation.csv", "no column `id`"),
        ("id,truth,prediction\n", "evaluation.csv", "no rows, the gate needs at least one"),
        (
            "id,truth,prediction\n1,2,2\n2,,3\n",
            "evaluation.csv: row 2",
            "column `truth` is empty, it needs a value",
        ),
        (
            "id,truth,prediction\n1,2,2\n5,2,2\n3,2,2\n5,1,1\n",
            "evaluation.csv: row 4",
            "id `5` came before in row 2, ids must be distinct",
        ),
    ],
)
def test_what_is_wrong_with_rows_is_named(read, text, where, message):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert (caught.value.where, caught.value.message) == (where, message)


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        read_rows(tmp_path / "none.csv", Data())


def test_digests_do_not_depend_on_the_order_of_rows(read):
    rows = read(CSV)
    for seed in range(5):
        other = shuffled(rows, seed)
        assert rows_digest(other) == rows_digest(rows)
        assert subject.test_set_digest(other) == subject.test_set_digest(rows)


def test_digests_follow_what_they_stand_for(read):
    rows, answered = read(CSV), read(CSV.replace("8,4,3", "8,4,4"))
    assert subject.test_set_digest(answered) == subject.test_set_digest(rows)
    assert rows_digest(answered) != rows_digest(rows)
    relabeled = read(CSV.replace("8,4,3", "8,3,3"))
    assert subject.test_set_digest(relabeled) != subject.test_set_digest(rows)


def test_cells_cannot_run_into_each_other():
    one = Rows(("1", "2"), ("a", "b"), ("a", "b"), {})
    other = Rows(("1", "2a"), ("a", "b"), ("a", "b"), {})
    assert rows_digest(one) != rows_digest(other)


def test_an_evaluation_counts_what_agrees(read):
    rows = read(CSV)
    found = evaluate(rows)
    assert right(rows) == (True, False, True)
    assert (found.n, found.metrics) == (3, {"accuracy": 2 / 3})
    assert (found.rows, found.test_set) == (rows_digest(rows), subject.test_set_digest(rows))


def test_the_baseline_is_put_in_the_candidates_order(read):
    rows = read(CSV)
    assert match(rows, shuffled(rows, 1)) == rows


@pytest.mark.parametrize("text", ["id,truth,prediction\n7,3,3\n", CSV + "10,1,1,0.5,north\n"])
def test_other_ids_cannot_be_compared(read, text):
    with pytest.raises(UsageError, match="they must be evaluated on the same rows"):
        match(read(CSV), read(text))


def test_another_truth_cannot_be_compared(read):
    with pytest.raises(UsageError, match="truth of id `8` is `4` for the candidate and `9` for live"):
        match(read(CSV), read(CSV.replace("8,4,3", "8,9,3")))
