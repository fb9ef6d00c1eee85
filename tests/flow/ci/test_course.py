"""A whole run: every step in its turn, one exit code, the report in any case."""

import json
import re
import shutil

import pytest

from tidegate.domain import Decision
from tidegate.errors import NotFoundError
from tidegate.flow.ci import Watcher, ci, foresee
from tidegate.flow.judge import decisions
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

PIPELINE = """stages:
  evaluate:
    cmd: COMMAND
    deps: [answers.csv]
    outs: [experiments/metrics/evaluation.csv]
"""
COPY = "cp answers.csv experiments/metrics/evaluation.csv"
FORMS = {"report.md", "report.html", "report.json", "report.sarif", "junit.xml"}
# what differs between two runs of the same: how long they took, and when they were
TIMES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d|[\d.]+ (s|ms)\b")


@pytest.fixture
def candidate(repository, write, git):
    """The small project with a pipeline of one stage, and a test that passes."""
    rows = repository / "experiments/metrics/evaluation.csv"
    shutil.move(rows, repository / "answers.csv")
    write(repository, "dvc.yaml", PIPELINE.replace("COMMAND", COPY))
    write(repository, "tests/test_a.py", "def test_a():\n    pass\n")
    write(repository, ".gitignore", "/.tidegate/\n/.dvc/\n__pycache__/\n.pytest_cache/\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "pipeline")
    return repository


def outcomes(finished):
    return {step.name: step.outcome for step in finished.report.steps}


def because(finished, name):
    return next(step.because for step in finished.report.steps if step.name == name)


def recorded(root) -> tuple[Decision, ...]:
    with open_ledger(Layout(root).ledger) as ledger:
        return decisions(ledger)


def test_all_that_passes_may_be_merged(candidate):
    seen = []
    finished = ci(candidate, Watcher(ended=lambda step: seen.append(step.name)))
    assert finished.code == 0
    assert outcomes(finished) == {
        "style": "skipped", "tests": "passed", "contract": "skipped", "stages": "passed", "gate": "passed",
    }  # fmt: skip
    assert seen == ["style", "tests", "contract", "stages", "gate"]
    assert {path.name for path in (candidate / ".tidegate/ci").iterdir()} == FORMS | {"tests.log"}
    assert finished.page.read_text().startswith("### ✅ tiny: you may merge")


def test_docs_alone_train_nothing_and_repeat_the_verdict_at_no_cost(candidate, write):
    ci(candidate)
    write(candidate, "README.md", "Words.\n")
    finished = ci(candidate)
    assert finished.code == 0
    assert because(finished, "stages") == "0 of 1 stages ran"
    assert because(finished, "gate") == "the recorded verdict is repeated, every rule is proven"
    assert len(recorded(candidate)) == 1


def test_a_worse_model_blocks_and_the_first_line_says_so(candidate, write, configure):
    write(candidate, "answers.csv", "id,truth,prediction\n" + "".join(f"{n},1,0\n" for n in range(400)))
    finished = ci(candidate)
    assert (finished.code, outcomes(finished)["gate"]) == (3, "failed")
    assert finished.page.read_text().startswith("### ❌ tiny: do not merge")


def test_too_few_rows_are_undecided(candidate, write):
    write(candidate, "answers.csv", "id,truth,prediction\n" + "".join(f"{n},1,1\n" for n in range(3)))
    finished = ci(candidate)
    assert (finished.code, outcomes(finished)["gate"]) == (4, "undecided")


def test_nothing_is_trained_when_a_check_fails_but_every_check_runs(candidate, write, configure):
    configure(candidate, 'style = "false"')
    write(candidate, "tests/test_a.py", "def test_a():\n    assert False\n")
    finished = ci(candidate)
    assert finished.code == 3
    assert outcomes(finished) == {
        "style": "failed", "tests": "failed", "contract": "skipped", "stages": "skipped", "gate": "skipped",
    }  # fmt: skip
    assert because(finished, "stages") == "`style`, `tests` did not pass, so nothing is trained"
    assert not (candidate / "experiments/metrics/evaluation.csv").exists()
    assert recorded(candidate) == ()
    assert [stage.action for stage in finished.report.stages] == ["stale"]
    assert finished.page.read_text().startswith("### ❌ tiny: do not merge")


def test_a_failed_stage_leaves_the_gate_unasked(candidate, write):
    write(candidate, "dvc.yaml", PIPELINE.replace("COMMAND", "exit 3"))
    finished = ci(candidate)
    assert (finished.code, outcomes(finished)["stages"]) == (3, "failed")
    assert because(finished, "gate") == "`stages` did not pass, so nothing is judged"


def test_a_broken_pipeline_is_an_error_and_still_reported(candidate, write):
    write(candidate, "dvc.yaml", "stages: 3\n")
    finished = ci(candidate)
    assert (finished.code, outcomes(finished)["stages"]) == (1, "undecided")
    assert because(finished, "stages").startswith("dvc.yaml:1")
    assert {path.name for path in (candidate / ".tidegate/ci").iterdir()} >= FORMS


def test_rows_that_cannot_be_judged_are_an_error(candidate, write):
    write(candidate, "answers.csv", "id,truth\n1,1\n")
    finished = ci(candidate)
    assert (finished.code, outcomes(finished)["gate"]) == (1, "undecided")
    assert "prediction" in because(finished, "gate")


def test_a_failure_weighs_more_than_what_could_not_be_done(candidate, write, configure):
    configure(candidate, 'style = "false"')
    write(candidate, "dvc.yaml", "stages: 3\n")
    assert ci(candidate).code == 3


def test_a_missing_package_is_a_step_that_could_not_run(candidate, monkeypatch):
    def judge(*_, **__):
        raise ModuleNotFoundError("no duckdb", name="duckdb")

    monkeypatch.setattr("tidegate.flow.judge.judge", judge)
    finished = ci(candidate)
    assert finished.code == 1
    assert "pip install 'tidegate[gate]'" in because(finished, "gate")


def test_a_fault_of_ours_is_not_hidden(candidate, monkeypatch):
    def judge(*_, **__):
        raise ModuleNotFoundError("no such", name="made_up")

    monkeypatch.setattr("tidegate.flow.judge.judge", judge)
    with pytest.raises(ModuleNotFoundError):
        ci(candidate)


def test_without_a_policy_it_says_what_to_do(tmp_path):
    with pytest.raises(NotFoundError, match=r"tidegate\.toml: no such file"):
        ci(tmp_path)


def test_without_pipeline_the_rows_that_lie_here_are_judged(repository):
    finished = ci(repository)
    assert (finished.code, outcomes(finished)["stages"], outcomes(finished)["gate"]) == (
        0,
        "skipped",
        "passed",
    )


def test_without_pipeline_and_rows_nothing_is_judged(repository):
    (repository / "experiments/metrics/evaluation.csv").unlink()
    finished = ci(repository)
    assert finished.code == 4
    assert because(finished, "gate").startswith("no pipeline and no evaluation rows in experiments/metrics")


def test_outside_git_it_runs_without_knowing_repeats(project, write):
    write(project, "tests/test_a.py", "def test_a():\n    assert False\n")
    assert ci(project).code == 3
    write(project, "tests/test_a.py", "def test_a():\n    pass\n")
    assert [step.repeats for step in ci(project).report.steps] == [0] * 5


@pytest.mark.parametrize(("policy", "code"), [("warn", 0), ("fail", 3)])
def test_a_test_that_passes_at_the_second_try_is_flaky(candidate, write, configure, policy, code):
    flips = "import pathlib\n\n\ndef test_a():\n    path = pathlib.Path('.tidegate/tried')\n"
    flips += "    tried = path.exists()\n    path.touch()\n    assert tried\n"
    write(candidate, "tests/test_a.py", flips)
    configure(candidate, f'flaky = "{policy}"')
    assert ci(candidate).code == 3
    finished = ci(candidate)
    assert finished.code == code
    tests = finished.report.steps[1]
    assert tests.repeats == 1
    assert tests.because == (
        "1 test passed; flaky, 1 time ended otherwise on the same inputs: "
        "`tests/test_a.py::test_a` failed -> passed"
    )
    assert tests.cases[0].because == "failed before on the same inputs"
    assert tests.cases[0].outcome == tests.outcome
    write(candidate, "README.md", "other inputs\n")
    assert ci(candidate).report.steps[1].repeats == 0


def test_two_clones_with_the_same_ledger_get_the_same_page(candidate, tmp_path_factory):
    clones = [tmp_path_factory.mktemp(name) / "clone" for name in ("one", "two")]
    pages = []
    for clone in clones:
        shutil.copytree(candidate, clone)
        pages.append(TIMES.sub("", ci(clone).page.read_text()))
    assert pages[0] == pages[1]


def test_what_would_run_is_told_without_running(candidate):
    foreseen = foresee(candidate)
    says = {name: intent.says for name, intent in foreseen.steps}
    assert says == {
        "style": "skipped: ruff is not configured",
        "tests": "python -m pytest",
        "contract": "skipped: no contract, contract.odcs.yaml is not there",
        "stages": "1 of 1 stage affected",
        "gate": "judge experiments/metrics/evaluation.csv",
    }
    assert [step.action for step in foreseen.stages] == ["stale"]
    assert not (candidate / ".tidegate/ci").exists()


def test_the_shared_line_is_asked_where_the_policy_names_it(candidate, configure, git, tmp_path_factory):
    remote = tmp_path_factory.mktemp("remote") / "hub.git"
    git(candidate, "init", "--bare", "--quiet", str(remote))
    git(candidate, "remote", "add", "hub", str(remote))
    configure(candidate, 'share = "hub"')
    assert ci(candidate).code == 0
    assert "refs/tidegate/budget" in git(remote, "show-ref")


def test_the_json_form_holds_every_step(candidate):
    ci(candidate)
    found = json.loads((candidate / ".tidegate/ci/report.json").read_text())
    assert [step["name"] for step in found["steps"]] == ["style", "tests", "contract", "stages", "gate"]
