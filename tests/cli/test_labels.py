"""`tidegate labels` on the command line."""

import csv
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tidegate.cli.labels import command
from tidegate.errors import UsageError
from tidegate.store.layout import Layout
from tidegate.store.predictions import read_labels


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of 400 evaluation rows in two classes, of which 25 have the other's label."""
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
    rows = [
        (f"r{n}", "ab"[(n + (n < 25)) % 2], "ab"[n % 2], 0.9 - 0.9 * (n % 2), 0.1 + 0.8 * (n % 2))
        for n in range(400)
    ]
    path = tmp_path / "experiments/metrics/evaluation.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "truth", "prediction", "score_a", "score_b"), *rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> str:
    done = CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)
    return done.output


def test_labels_are_added_from_a_file_and_by_hand(root: Path) -> None:
    (root / "late.csv").write_text("request,truth\nr1,7\nr2,8\n")
    assert run("add", "late.csv", "--label", "a=b=3").splitlines() == [
        "3 labels added",
        "no logged prediction for 3 of them: a=b, r1, r2",
    ]
    assert json.loads(run("add", "--label", "x=1", "--json")) == {"accepted": 1, "unknown": ["x"]}
    rows, _ = read_labels(Layout(root).log)
    assert [(row.request, row.truth) for row in rows] == [("a=b", "3"), ("r1", "7"), ("r2", "8"), ("x", "1")]


@pytest.mark.parametrize("words", [(), ("--label", "x"), ("--label", "=x"), ("--label", "x=")])
def test_no_label_is_a_usage_error(root: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"^labels"):
        run("add", *words)


def test_the_most_suspect_labels_are_shown_and_the_others_counted(root: Path) -> None:
    said = run("suspect").splitlines()
    assert said[0] == "25 of 400 labels look wrong"
    assert said[1].split() == ["rank", "id", "given", "suggested", "confidence", "of", "suggested"]
    assert said[2].split()[0] == "1"
    assert len(said) == 23
    assert said[-1] == "and 5 more, see `--top` and `--csv`"
    assert len(run("suspect", "--top", "3").splitlines()) == 5


def test_programs_get_all_of_them(root: Path) -> None:
    found = json.loads(run("suspect", "--json"))
    assert (found["rows"], found["found"], len(found["suspects"])) == (400, 25, 25)
    first = found["suspects"][0]
    assert set(first) == {"rank", "id", "given", "suggested", "confidence", "suggested_confidence", "row"}
    run("suspect", "--csv", "review.csv", "--top", "4")
    with (root / "review.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["rank", "id", "given", "suggested", "confidence", "suggested_confidence"]
    assert [line[:4] for line in lines[1:]] == [
        [str(one["rank"]), one["id"], one["given"], one["suggested"]] for one in found["suspects"][:4]
    ]


def test_a_file_of_ones_own_is_looked_at_instead(root: Path) -> None:
    (root / "experiments/metrics/evaluation.csv").rename(root / "own.csv")
    assert run("suspect", "own.csv").startswith("25 of 400")


def test_a_number_below_one_is_refused(root: Path) -> None:
    with pytest.raises(click.UsageError):
        run("suspect", "--top", "0")
