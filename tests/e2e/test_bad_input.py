"""Wrong input at the door: where it is, what was found, what was expected, and the right exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

POLICY = '[project]\nname = "bad"\n'
PIPELINE = "stages:\n  copy:\n    cmd: cp in.txt out.txt\n    deps:\n    - in.txt\n    outs:\n    - out.txt\n"
CYCLE = """stages:
  a:
    cmd: x
    deps: [b]
    outs: [a]
  b:
    cmd: x
    deps: [a]
    outs: [b]
"""
NO_COMMAND = "stages:\n  copy:\n    deps: [in.txt]\n"
ITSELF = PIPELINE.replace("- in.txt", "- out.txt")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A right project, for a test to break."""
    (tmp_path / "tidegate.toml").write_text(POLICY)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "in.txt").write_text("1\n")
    return tmp_path


CASES = {
    "broken TOML": (
        "tidegate.toml",
        '[project]\nname = "bad\n',
        "config show",
        2,
        ["tidegate.toml", "line 2"],
    ),
    "unknown key": (
        "tidegate.toml",
        POLICY + "[gate]\nsubmisions = 3\n",
        "config show",
        2,
        ["tidegate.toml:4", "gate.submisions", "did you mean `submissions`"],
    ),
    "unknown table": ("tidegate.toml", POLICY + "[monitors]\n", "config show", 2, ["did you mean `monitor`"]),
    "wrong type": (
        "tidegate.toml",
        POLICY + '[gate]\nerror = "5%"\n',
        "config show",
        2,
        ["tidegate.toml:4", "gate.error"],
    ),
    "out of range": (
        "tidegate.toml",
        POLICY + "[gate]\nerror = 5\n",
        "config show",
        2,
        ["tidegate.toml:4", "gate.error"],
    ),
    "bad duration": (
        "tidegate.toml",
        POLICY + '[rollout]\nwindow = "10 parsecs"\n',
        "config show",
        2,
        ["tidegate.toml:4", "rollout.window", "`10m`"],
    ),
    "no name": ("tidegate.toml", "[project]\n", "config show", 2, ["project.name", "required"]),
    "unknown section": ("tidegate.toml", POLICY, "config show gates", 2, ["did you mean `gate`"]),
    "broken YAML": ("dvc.yaml", "stages:\n  copy:\n    cmd: [cp\n", "repro", 2, ["dvc.yaml:"]),
    "tab in YAML": ("dvc.yaml", "stages:\n\tcopy:\n", "repro", 2, ["dvc.yaml:2:1"]),
    "unknown stage key": (
        "dvc.yaml",
        PIPELINE + "    out: [x]\n",
        "repro",
        2,
        ["dvc.yaml:8", "out", "did you mean `outs`"],
    ),
    "stage without command": ("dvc.yaml", NO_COMMAND, "repro", 2, ["dvc.yaml:", "copy", "cmd"]),
    "cyclic pipeline": ("dvc.yaml", CYCLE, "repro", 2, ["dvc.yaml", "`a`", "`b`"]),
    "stage reads its output": ("dvc.yaml", ITSELF, "repro", 2, ["dvc.yaml", "copy", "out.txt"]),
    "unknown stage": ("dvc.yaml", PIPELINE, "repro cpy", 1, ["cpy", "did you mean `copy`"]),
    "unknown command": ("dvc.yaml", PIPELINE, "rpero", 2, ["did you mean `repro`"]),
    "unknown option": ("dvc.yaml", PIPELINE, "repro --fast", 2, ["--fast"]),
    "no evaluation rows": ("dvc.yaml", PIPELINE, "gate", 1, ["evaluation.csv"]),
    "no plan": ("dvc.yaml", PIPELINE, "apply", 1, ["no plan", "tidegate plan"]),
    "nothing to roll back": ("dvc.yaml", PIPELINE, "rollback", 1, ["nothing is live"]),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_named_with_its_place(case: str, project: Path, run: Callable) -> None:
    name, text, words, code, expected = CASES[case]
    (project / name).write_text(text)
    done = run(project, *words.split(), expect=code)
    assert done.err.startswith("error: ")
    assert [part for part in expected if part not in done.err] == [], done.err


@pytest.mark.parametrize("case", CASES)
def test_the_same_complaint_comes_as_json(case: str, project: Path, run: Callable) -> None:
    name, text, words, code, _ = CASES[case]
    (project / name).write_text(text)
    done = run(project, *words.split(), "--json", expect=code)
    assert set(json.loads(done.out)["error"]) == {"kind", "where", "message", "hint"}


@pytest.mark.parametrize("words", ["repro", "status", "gate", "ps", "config show"])
def test_outside_a_project_every_command_says_how_to_begin(words: str, tmp_path: Path, run: Callable) -> None:
    done = run(tmp_path, *words.split(), expect=1)
    assert "no project here or above" in done.err
    assert "tidegate init" in done.err


def test_a_missing_file_stops_repro_and_names_it(project: Path, run: Callable) -> None:
    (project / "in.txt").unlink()
    done = run(project, "repro", expect=2)
    assert "in.txt" in done.err
    assert not (project / "dvc.lock").exists()


def test_a_failing_stage_keeps_what_finished_and_names_exit_code_and_log(
    project: Path, run: Callable
) -> None:
    failing = "  fail:\n    cmd: echo because >&2; exit 7\n    deps: [out.txt]\n    outs: [never.txt]\n"
    (project / "dvc.yaml").write_text(PIPELINE + failing)
    done = run(project, "repro", expect=1)
    assert "fail" in done.err
    assert "7" in done.err
    lock = (project / "dvc.lock").read_text()
    assert "copy:" in lock
    assert "fail:" not in lock
