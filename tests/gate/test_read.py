"""Evaluation rows: read from CSV and Parquet alike, refused with row and column, in one order."""

# ruff: noqa: E501 -- tables of cases

import base64
import random
import zlib

import numpy as np
import pytest

from tidegate.errors import NotFoundError, UsageError
from tidegate.gate.read import Wanted, explain_mismatch, name_rows, read_rows, read_test_set
from tidegate.gate.rows import one_code, right, said
from tidegate.project import Data

CSV = "id,truth,prediction,score,region\n7,3,3,0.9,north\n8,4,3,0.6,south\n9,5,5,0.7,north\n"
HEAD = "id,truth,prediction"
ALL = Wanted(values=("region",), numbers=("score",), where=("score > 0.65",), scores=True)

# id 1, 2; truth 1, NaN; prediction 1, 1: as Arrow writes it, which leaves NaN out of the statistics
BY_ARROW = (
    "eNq1Uk1Lw0AQnazrEnIrMksWFsklS4W0WEFPgeK9h9J/ENJAc9DGbarQi+DVfyL9Lf6WHj066SruQQpFXIb5ePDeY4ad3s5GCKhR"
    "Z8ipESh0zBkAxDygLKHvTb0epW7kQfDVESfDzCOHsH+78U9HIr+gntg35OrH8z+I7sbI1eQaYrEqF9VdgQKQpSxm9Tw9n2zPwo6I"
    "ESGnrV23C9dHja3mddnWy3uQXGmVG9DIVCpAdVQkVG7kxoT5waspjd2lGOQXQhnghHZCkRNyjnutt4DCvAT5USsflveW8Dy27M8e"
    "8v1EchNSgX7SFPZhXbWDsmkGhbXLp+SxsivyTK5uhpfDkco1gAt4pbNM6ed9AmWgUz4="
)


def test_rows_are_read_under_the_projects_column_names(read):
    renamed = CSV.replace(HEAD, "key,label,answer")
    found = read(renamed, Data(id="key", truth="label", prediction="answer"))
    assert sorted(said(found)) == ["3", "3", "5"]
    assert found.classes == ("3", "4", "5")
    assert int(right(found).sum()) == 2


def test_a_parquet_file_reads_like_its_csv(read, tmp_path):
    import duckdb

    from_csv = read(CSV, wanted=ALL)
    path = tmp_path / "evaluation.parquet"
    source = f"SELECT id, truth::DOUBLE AS truth, prediction, score, region FROM '{tmp_path}/evaluation.csv'"
    duckdb.sql(f"COPY ({source}) TO '{path}' (FORMAT parquet)")
    found = read_rows(path, Data(), ALL)
    assert (found.test_set, found.digest) == (from_csv.test_set, from_csv.digest)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("id,truth,predicton\n1,2,3\n", "evaluation.csv", "no column `prediction`, did you mean `predicton`?"),
        ("a,b\n1,2\n", "evaluation.csv", "no column `id`"),
        ("", "evaluation.csv", "the file is empty, expected CSV"),
        (f"{HEAD}\n", "evaluation.csv", "no rows, the gate needs at least one"),
        (f"{HEAD}\n1,2,2\n2,,3\n", "evaluation.csv: row 2", "column `truth` is empty, it needs a value"),
        (f"{HEAD}\n1,2,2\n5,2,2\n3,2,2\n5,1,1\n", "evaluation.csv: row 4", "id `5` came before in row 2, ids must be distinct"),
        (f"{HEAD}\n5,2,2\n3,2,2\n5,1,1\n3,1,1\n", "evaluation.csv: row 3", "id `5` came before in row 1, ids must be distinct (2 are not)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_rows_is_named(read, text, where, message):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert (caught.value.where, caught.value.message) == (where, message)


@pytest.mark.parametrize(
    ("text", "wanted", "data", "message"),
    [
        (f"{HEAD},score\n1,a,a,0.5\n2,a,b,nan\n", Wanted(scores=True), Data(), "row 2: column `score` holds `nan`, expected a number"),
        (f"{HEAD},score\n1,a,a,\n2,a,b,\n", Wanted(scores=True), Data(), "row 1: column `score` holds nothing, expected a number (and 1 rows more)"),
        (f"{HEAD},score\n1,a,a,high\n", Wanted(scores=True), Data(), "column `score` holds `high`, expected a number"),
        (f"{HEAD},score_a,score_b\n1,a,a,1,0\n2,c,b,1,0\n", Wanted(scores=True), Data(), "row 2: truth is `c`, expected one of a, b"),
        (f"{HEAD},score_a\n1,a,a,1\n", Wanted(scores=True), Data(labels=("a", "b")), "no column `score_b`, each class needs its scores"),
        (f"{HEAD}\n1,a,z\n", Wanted(), Data(labels=("a", "b")), "row 1: prediction is `z`, expected one of a, b"),
        (f"{HEAD}\n1,a,a\n2,b,b\n3,c,c\n", Wanted("binary"), Data(), "3 classes (a, b, c), project.task is `binary`"),
        (f"{HEAD}\n1,a,a\n2,b,b\n", Wanted("binary"), Data(positive="yes"), "no row of class `yes`"),
        (f"{HEAD}\n1,a,2\n", Wanted("regression"), Data(), "row 1: column `truth` holds `a`, expected a number"),
        (f"{HEAD}\n1,1.5,2\n", Wanted(numbers=("latency_ms",)), Data(), "no column `latency_ms`"),
    ],
)  # fmt: skip
def test_what_a_rule_cannot_use_is_named(read, text, wanted, data, message):
    with pytest.raises(UsageError) as caught:
        read(text, data, wanted)
    assert message in str(caught.value)


def test_nan_is_found_where_a_files_statistics_hide_it(tmp_path):
    path = tmp_path / "evaluation.parquet"
    path.write_bytes(zlib.decompress(base64.b64decode(BY_ARROW)))
    with pytest.raises(UsageError) as caught:
        read_rows(path, Data())
    assert str(caught.value) == "evaluation.parquet: row 2: column `truth` is empty, it needs a value"


def test_lists_of_scores_follow_the_labels(tmp_path):
    import duckdb

    path = tmp_path / "evaluation.parquet"
    rows = "(1, 'no', 'no', [0.9, 0.1]), (2, 'yes', 'no', [0.6, 0.4])"
    duckdb.sql(
        f"COPY (SELECT * FROM (VALUES {rows}) t(id, truth, prediction, score)) TO '{path}' (FORMAT parquet)"
    )
    data = Data(labels=("no", "yes"))
    assert sorted(read_rows(path, data, Wanted("binary", scores=True)).scores) == [0.1, 0.4]
    with pytest.raises(UsageError, match="lists of 2 scores, there are 3 classes"):
        read_rows(path, Data(labels=("no", "yes", "maybe")), Wanted(scores=True))


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        read_rows(tmp_path / "none.csv", Data())


def test_rows_do_not_depend_on_the_order_of_the_file(read):
    rows = read(CSV, wanted=ALL)
    lines = CSV.splitlines(keepends=True)
    for seed in range(5):
        body = random.Random(seed).sample(lines[1:], 3)
        other = read("".join([lines[0], *body]), wanted=ALL)
        assert (other.test_set, other.digest) == (rows.test_set, rows.digest)
        assert said(other) == said(rows)
        assert np.array_equal(other.scores, rows.scores)


def test_digests_follow_what_they_stand_for(read):
    rows, answered = read(CSV), read(CSV.replace("8,4,3", "8,4,4"))
    assert answered.test_set == rows.test_set
    assert answered.digest != rows.digest
    relabeled = read(CSV.replace("8,4,3", "8,3,3"))
    assert relabeled.test_set != rows.test_set
    assert read(CSV.replace("north", "west"), wanted=ALL).digest != read(CSV, wanted=ALL).digest


def test_the_test_set_does_not_depend_on_the_answers_there_are(read, tmp_path):
    rows = read(CSV)
    assert read(CSV.replace("7,3,3", "7,3,0")).test_set == rows.test_set
    assert read_test_set(tmp_path / "evaluation.csv", Data(), "multiclass") == rows.test_set


def test_cells_cannot_run_into_each_other(read):
    assert read(f"{HEAD}\n1,ab,a\n2,a,a\n").test_set != read(f"{HEAD}\n1a,b,a\n2,a,a\n").test_set


def test_two_models_share_one_code(read):
    one, other = read(f"{HEAD}\n1,a,b\n2,b,b\n"), read(f"{HEAD}\n1,a,c\n2,b,b\n")
    new, old = one_code(one, other)
    assert new.classes == old.classes == ("a", "b", "c")
    assert (said(new), said(old)) == (said(one), said(other))
    assert np.array_equal(new.truth, old.truth)


def test_rows_are_named_by_their_place(read, tmp_path):
    rows = read(CSV)
    wrong = rows.place[~right(rows)]
    assert name_rows(tmp_path / "evaluation.csv", Data(), wrong) == ["8"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            f"{HEAD}\n7,3,3\n",
            "live (1) and candidate (3) share 1 evaluation ids, they must be evaluated on the same rows",
        ),
        (
            CSV.replace("8,4,3", "8,9,3"),
            "the truth of id `8` is `4` for the candidate and `9` for live, it must be the same",
        ),
    ],
)
def test_how_two_files_differ_is_said(tmp_path, other, message):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text(CSV)
    two.write_text(other)
    assert message in str(explain_mismatch(one, two, data=Data(), live_data=Data()))
