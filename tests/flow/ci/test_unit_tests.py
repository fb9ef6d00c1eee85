"""Each test that pytest ran is a case, whoever called it."""

import pytest

from tidegate.errors import NotFoundError
from tidegate.flow.ci.unit_tests import check_tests, foresee_tests

TESTS = """import pytest


class TestSums:
    def test_right(self):
        assert 1 + 1 == 2

    @pytest.mark.parametrize("n", [1, 2])
    def test_wrong(self, n):
        assert n == 1, "not one"


@pytest.mark.skip(reason="later")
def test_later():
    pass


@pytest.fixture
def broken():
    raise OSError("no disk")


def test_error(broken):
    pass
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tests/a.txt", ""),
        ("test/a.txt", ""),
        ("pytest.ini", ""),
        ("tox.ini", "[pytest]\n"),
        ("setup.cfg", "[tool:pytest]\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
    ],
)
def test_pytest_runs_where_there_are_tests_or_it_is_configured(project, write, name, text):
    assert foresee_tests(project, "auto").why_not == "no folder tests, pytest is not configured"
    write(project, name, text)
    assert foresee_tests(project, "auto").lines == ("python -m pytest",)


@pytest.mark.parametrize("name", ["tox.ini", "setup.cfg"])
def test_a_file_that_is_for_others_is_no_sign_of_pytest(project, write, name):
    write(project, name, "[flake8]\n")
    assert foresee_tests(project, "auto").lines == ()


@pytest.mark.parametrize("setting", ["auto", "cd . && python -m pytest -q tests"])
def test_cases_have_pytests_names_places_and_reasons(project, write, configure, room, setting):
    write(project, "tests/test_sums.py", TESTS)
    configure(project, f'tests = "{setting}"')
    ended = check_tests(room(project))
    assert (ended.outcome, ended.because) == ("failed", "2 of 5 tests failed")
    found = {case.name: case for case in ended.cases}
    assert [case.outcome for case in ended.cases] == ["passed", "passed", "failed", "skipped", "failed"]
    wrong = found["tests/test_sums.py::TestSums::test_wrong[2]"]
    assert (wrong.path, wrong.line, wrong.because) == ("tests/test_sums.py", 8, "AssertionError: not one")
    assert "no disk" in found["tests/test_sums.py::test_error"].because
    assert "later" in found["tests/test_sums.py::test_later"].because
    assert "1 failed" in (project / ".tidegate/ci/tests.log").read_text()


def test_tests_that_pass_are_counted(project, write, room):
    write(project, "tests/test_a.py", "def test_a():\n    pass\n")
    ended = check_tests(room(project))
    assert (ended.outcome, ended.because) == ("passed", "1 test passed")


def test_a_file_that_cannot_be_imported_is_a_case(project, write, room):
    write(project, "tests/test_a.py", "import nothing_of_the_kind\n")
    ended = check_tests(room(project))
    assert ended.outcome == "failed"
    assert ended.failed == ("tests/test_a.py",)


def test_a_folder_without_a_test_is_skipped_in_words(project, write, room):
    write(project, "tests/README.md", "later\n")
    ended = check_tests(room(project))
    assert (ended.outcome, ended.because) == ("skipped", "pytest found no test")


def test_tests_that_hang_fail_in_time(project, write, configure, room):
    write(project, "tests/test_a.py", "import time\n\n\ndef test_a():\n    time.sleep(60)\n")
    configure(project, 'timeout = "1500ms"')
    ended = check_tests(room(project))
    assert (ended.outcome, ended.because) == (
        "failed",
        "`python -m pytest` took longer than 1500ms, see ci.timeout",
    )


def test_without_pytest_it_says_what_to_do(project, write, room, monkeypatch):
    write(project, "tests/test_a.py", "")
    write(project, "python", f"#!/bin/sh\necho '{project}/python: No module named pytest'; exit 1\n")
    (project / "python").chmod(0o755)
    monkeypatch.setattr("tidegate.flow.ci.unit_tests.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(project), prepend=":")
    with pytest.raises(NotFoundError, match="pytest: not installed"):
        check_tests(room(project))


def test_a_command_that_fails_though_its_tests_pass_is_a_case_of_its_own(project, write, configure, room):
    write(project, "tests/test_a.py", "def test_a():\n    pass\n")
    configure(project, 'tests = "python -m pytest && echo coverage is 3 percent && exit 9"')
    ended = check_tests(room(project))
    assert ended.outcome == "failed"
    assert ended.because.endswith("exit code 9: coverage is 3 percent")
    assert [case.outcome for case in ended.cases] == ["passed", "failed"]


def test_options_that_pytest_was_given_before_stay(project, write, room, monkeypatch):
    write(project, "tests/test_a.py", "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k test_b")
    assert [case.name for case in check_tests(room(project)).cases] == ["tests/test_a.py::test_b"]


def test_an_empty_text_switches_them_off(project, write, configure, room):
    write(project, "tests/test_a.py", "def test_a():\n    assert False\n")
    configure(project, 'tests = ""')
    assert check_tests(room(project)).because == "ci.tests is empty"
