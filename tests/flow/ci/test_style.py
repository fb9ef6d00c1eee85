"""Complaints about style are cases with file and line."""

import pytest

from tidegate.errors import NotFoundError, UsageError
from tidegate.flow.ci.command import Ran
from tidegate.flow.ci.style import check_style, foresee_style, unformatted
from tidegate.project import Seconds

MESSY = "import os\n\nx = {  'a':1 }\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [("ruff.toml", ""), (".ruff.toml", ""), ("pyproject.toml", "[tool.ruff]\nline-length = 88\n")],
)
def test_ruff_runs_where_it_is_configured(project, write, name, text):
    assert foresee_style(project, "auto").why_not == "ruff is not configured"
    write(project, name, text)
    assert foresee_style(project, "auto").lines == ("ruff check", "ruff format --check")


def test_complaints_have_a_file_and_a_line(project, write, room):
    write(project, "ruff.toml", "")
    write(project, "src/messy.py", MESSY)
    ended = check_style(room(project))
    assert (ended.outcome, ended.because) == ("failed", "1 complaint, 1 file to format")
    complaint, form = ended.cases
    assert (complaint.name, complaint.path, complaint.line) == ("src/messy.py:1 F401", "src/messy.py", 1)
    assert "os" in complaint.because
    assert (form.name, form.path) == ("src/messy.py format", "src/messy.py")


@pytest.mark.parametrize(
    "said",
    [
        "Would reformat: src/a.py\n1 file would be reformatted",
        "unformatted: File would be reformatted\n --> src/a.py:3:1\n  |\n1 file would be reformatted",
    ],
)
def test_every_wording_of_ruff_format_names_the_file(said):
    (case,) = unformatted(Ran(1, said, "ruff format --check", Seconds(1)))
    assert (case.path, case.outcome) == ("src/a.py", "failed")


def test_tidy_code_passes(project, write, room):
    write(project, "ruff.toml", "")
    write(project, "src/tidy.py", "x = 1\n")
    assert check_style(room(project)).outcome == "passed"


def test_code_that_is_no_python_fails(project, write, room):
    write(project, "ruff.toml", "")
    write(project, "src/broken.py", "def (:\n")
    ended = check_style(room(project))
    assert ended.outcome == "failed"
    assert {case.path for case in ended.cases} == {"src/broken.py"}


def test_a_broken_configuration_of_ruff_is_told_in_its_words(project, write, room):
    write(project, "ruff.toml", "no-such-key = 1\n")
    ended = check_style(room(project))
    assert ended.outcome == "failed"
    assert "`ruff check` ended with exit code 2" in ended.because


def test_configured_but_not_installed_says_what_to_do(project, write, room, monkeypatch):
    write(project, "ruff.toml", "")
    monkeypatch.setattr("tidegate.flow.ci.style.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(NotFoundError, match="ruff: configured but not installed"):
        check_style(room(project))


def test_a_broken_pyproject_is_named(project, write):
    write(project, "pyproject.toml", "[tool\n")
    with pytest.raises(UsageError, match=r"^pyproject\.toml: .*, expected TOML"):
        foresee_style(project, "auto")


@pytest.mark.parametrize(("line", "outcome"), [("true", "passed"), ("echo src/a.py:1 bad; false", "failed")])
def test_a_command_of_ones_own_is_judged_by_its_exit_code(project, configure, room, line, outcome):
    configure(project, f'style = "{line}"')
    ended = check_style(room(project))
    assert ended.outcome == outcome
    assert [case.outcome for case in ended.cases] == (["failed"] if outcome == "failed" else [])


def test_an_empty_text_switches_it_off(project, configure, room, write):
    write(project, "ruff.toml", "")
    configure(project, 'style = ""')
    ended = check_style(room(project))
    assert (ended.outcome, ended.because) == ("skipped", "ci.style is empty")
