"""One budget for many machines: files and a git reference carry the verdicts, and none is lost or counted twice."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain import Decision, Event
from tidegate.errors import ConflictError, CorruptError, NotFoundError, UnavailableError
from tidegate.flow import budget as budget_module
from tidegate.flow.accounts import Balance, accounts, overview, submissions
from tidegate.flow.budget import REF, export, in_line, merge_files, place_at, pull, push
from tidegate.project import Gate
from tidegate.stats.budget import Grant, balance, next_level
from tidegate.store.exchange import decided
from tidegate.store.exchange import in_line as line_of
from tidegate.store.layout import Layout
from tidegate.store.ledger import GENESIS, event_hash, open_ledger
from tidegate.store.shared_ref import replace_shared

JUDGE_WHEN_TOLD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_budget import judge_in_line
print("ready", flush=True)
sys.stdin.readline()
print(judge_in_line(Path(sys.argv[2]), sys.argv[3]).submission, flush=True)
"""
PUSH_WHEN_TOLD = """
import sys
from pathlib import Path
from tidegate.flow.budget import push
print("ready", flush=True)
sys.stdin.readline()
print(push(Path(sys.argv[2]), "origin").events, flush=True)
"""


def judged(candidate: str, history: Sequence[Decision], verdict: Any = "pass") -> Decision:
    """The gate in small: what was asked before is answered again, anything else is tested at the next level."""
    known = next((past for past in history if past.candidate == candidate), None)
    if known:
        return known
    account = balance(past.verdict == "pass" for past in history)
    error, at = next_level(account, Grant(32, 0.05)), 100.0 + len(history)
    return Decision(candidate, None, "t", "r", "", (), verdict, error, account.submissions + 1, at, n=400)


def judge(root: Path, candidate: str) -> Decision:
    """Judge on this machine alone."""
    with open_ledger(Layout(root).ledger) as ledger:
        decision = judged(candidate, [msgspec.convert(one.body, Decision) for one in decided(ledger)])
        ledger.append("gate.decided", candidate, msgspec.to_builtins(decision), at=decision.at)
    return decision


def judge_in_line(root: Path, candidate: str) -> Decision:
    """Judge together with everybody who shares the remote."""
    with open_ledger(Layout(root).ledger) as ledger:
        return in_line(ledger, place_at(root, "origin"), lambda history: judged(candidate, history))


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository that stands for the server."""
    path = tmp_path / "server.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    return path


@pytest.fixture
def machine(remote: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`machine("ci-1")`: a clone with a ledger of its own."""

    def make(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        git(root, "init", "--quiet")
        git(root, "remote", "add", "origin", str(remote))
        (root / "tidegate.toml").write_text('[project]\nname = "tiny"\n')
        return root

    return make


def verdicts(root: Path) -> list[str]:
    with open_ledger(Layout(root).ledger) as ledger:
        assert ledger.verify()
        return [event.hash for event in decided(ledger)]


def spent(root: Path) -> Balance:
    """The account of the only test set."""
    (found,) = overview(root).test_sets
    return found


def test_a_file_carries_the_budget_to_another_machine_and_counts_once(
    machine: Callable[[str], Path], tmp_path: Path
) -> None:
    one, two, file = machine("one"), machine("two"), tmp_path / "budget.jsonl"
    judge(one, "a")
    judge(two, "b")
    assert export(one, file).events == 1
    for new in (1, 0):
        assert merge_files(two, [file, file]).new == new
    assert spent(two).submissions == 2
    assert export(two, file).events == 2
    assert merge_files(one, [file])[:2] == (1, 1)
    assert verdicts(one) == verdicts(two)
    assert spent(one) == spent(two)


def test_a_file_that_was_changed_is_refused_and_nothing_of_the_others_is_taken(
    machine: Callable[[str], Path], tmp_path: Path
) -> None:
    one, two = machine("one"), machine("two")
    judge(one, "a")
    export(one, tmp_path / "good.jsonl")
    text = (tmp_path / "good.jsonl").read_text()
    (tmp_path / "bad.jsonl").write_text(text.replace('"verdict":"pass"', '"verdict":"hold"', 1))
    with pytest.raises(CorruptError, match=r"bad\.jsonl:2: the event differs from its hash"):
        merge_files(two, [tmp_path / "good.jsonl", tmp_path / "bad.jsonl"])
    assert verdicts(two) == []
    with pytest.raises(NotFoundError, match="no such file"):
        merge_files(two, [tmp_path / "none.jsonl"])
    (tmp_path / "odd.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptError, match="not UTF-8"):
        merge_files(two, [tmp_path / "odd.jsonl"])


def test_a_new_clone_knows_after_a_pull_what_was_spent(machine: Callable[[str], Path]) -> None:
    one, two = machine("one"), machine("two")
    judge(one, "a")
    assert push(one, "origin") == (1, 1, (0, 0, ()))
    assert overview(two).test_sets == ()
    assert pull(two, "origin")[:2] == (1, 0)
    assert spent(two).submissions == 1
    assert push(two, "origin")[:2] == (1, 0)
    assert git(one, "for-each-ref") == git(two, "for-each-ref") == "", (
        "nothing is left in the user's repository"
    )


def test_a_pull_before_the_first_push_brings_nothing(machine: Callable[[str], Path]) -> None:
    root = machine("one")
    assert pull(root, "origin") == (0, 0, ())
    assert push(root, "origin")[:2] == (0, 0)


def test_judging_again_anywhere_in_line_costs_nothing_and_says_the_same(
    machine: Callable[[str], Path],
) -> None:
    one, two = machine("one"), machine("two")
    first = judge_in_line(one, "a")
    assert judge_in_line(one, "a") == judge_in_line(two, "a") == first
    assert spent(two).submissions == 1


def test_who_is_second_in_line_is_tested_at_what_the_first_has_left(machine: Callable[[str], Path]) -> None:
    one, two = machine("one"), machine("two")
    first, second = judge_in_line(one, "a"), judge_in_line(two, "b")
    assert (first.submission, second.submission) == (1, 2)
    assert second.error < first.error
    assert spent(two).apart == 0


def test_verdicts_judged_apart_are_shown_with_what_they_took_too_much(machine: Callable[[str], Path]) -> None:
    one, two = machine("one"), machine("two")
    first, second = judge(one, "a"), judge(two, "b")
    assert first.error == second.error
    push(one, "origin")
    pull(two, "origin")
    found = spent(two)
    assert (found.submissions, found.passes, found.apart) == (2, 2, 1)
    assert 0 < found.excess < second.error


def test_a_race_that_is_lost_is_judged_again_behind_the_winner(
    machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine("one"), machine("two")
    raced: list[Decision] = []

    def overtaken(*words: Any) -> bool:
        monkeypatch.undo()
        raced.append(judge_in_line(one, "a"))
        return replace_shared(*words)

    monkeypatch.setattr(budget_module, "replace_shared", overtaken)
    late = judge_in_line(two, "b")
    assert (raced[0].submission, late.submission) == (1, 2)
    assert late.error < raced[0].error
    assert len(verdicts(two)) == 2


def test_who_is_overtaken_all_the_time_gives_up_and_has_told_nothing(
    machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "replace_shared", lambda *_: False)
    monkeypatch.setattr(budget_module, "LONGEST_WAIT_S", 0.0)
    root = machine("one")
    with pytest.raises(ConflictError, match="other jobs were faster 50 times in a row"):
        judge_in_line(root, "a")
    assert verdicts(root) == []


def test_a_verdict_that_was_sent_but_not_written_down_comes_back_with_the_next_pull(
    machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine("one")
    with monkeypatch.context() as patch:
        patch.setattr(budget_module, "_keep", _killed)
        with pytest.raises(KeyboardInterrupt):
            judge_in_line(root, "a")
    assert verdicts(root) == []
    assert judge_in_line(root, "a").submission == len(verdicts(root)) == 1


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_verdict_whose_place_was_taken_meanwhile_is_kept_as_a_merged_one(
    machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine("one")

    def busy(*words: Any) -> bool:
        with open_ledger(Layout(root).ledger) as other:
            other.append("test.happened", "s", {})
        return replace_shared(*words)

    with monkeypatch.context() as patch:
        patch.setattr(budget_module, "replace_shared", busy)
        decision = judge_in_line(root, "a")
    with open_ledger(Layout(root).ledger) as ledger:
        assert [event.kind for event in ledger.events()] == ["test.happened", "budget.merged"]
    assert judge_in_line(root, "a") == decision


@pytest.mark.parametrize("program", [JUDGE_WHEN_TOLD, PUSH_WHEN_TOLD], ids=["judge", "push"])
def test_jobs_at_once_are_all_counted(machine: Callable[[str], Path], remote: Path, program: str) -> None:
    names = ("a", "b", "c")
    roots = [machine(f"ci-{name}") for name in names]
    if program == PUSH_WHEN_TOLD:
        for root, name in zip(roots, names, strict=True):
            judge(root, name)
    said = sorted(_at_once(program, roots, names))
    # a push says how many verdicts the remote then kept, a judgement which place in the line it had
    assert said == [1, 2, 3]
    fresh = machine("fresh")
    pull(fresh, "origin")
    assert spent(fresh).submissions == int(git(remote, "rev-list", "--count", REF)) == 3
    assert spent(fresh).apart == (0 if program == JUDGE_WHEN_TOLD else 2)


def _at_once(program: str, roots: Sequence[Path], names: Sequence[str]) -> list[int]:
    """What jobs that start in the same moment say."""
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    jobs = [
        subprocess.Popen([*command, root, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for root, name in zip(roots, names, strict=True)
    ]
    for job in jobs:
        assert job.stdout and job.stdout.readline() == "ready\n"
    for job in jobs:
        assert job.stdin
        job.stdin.write("\n")
        job.stdin.flush()
    return [int(job.communicate(timeout=120)[0]) for job in jobs]


def test_a_tampered_reference_is_refused_and_not_overwritten(
    machine: Callable[[str], Path], remote: Path
) -> None:
    root = machine("one")
    judge(root, "a")
    push(root, "origin")
    text = git(remote, "show", f"{REF}:budget.jsonl").replace('"submission":1', '"submission":9')
    tip = git(remote, "rev-parse", REF).strip()
    assert replace_shared(place_at(root, "origin"), budget_module.Seen(tip, ""), text)
    tampered = git(remote, "rev-parse", REF)
    for verb in (pull, push):
        with pytest.raises(CorruptError, match=r"refs/tidegate/budget:2: the event differs from its hash"):
            verb(root, "origin")
    with pytest.raises(CorruptError):
        judge_in_line(root, "a")
    assert git(remote, "rev-parse", REF) == tampered


def test_a_reference_that_was_set_back_gets_everything_again(
    machine: Callable[[str], Path], remote: Path
) -> None:
    root = machine("one")
    for name in "ab":
        judge(root, name)
        push(root, "origin")
    git(remote, "update-ref", REF, f"{REF}~1")
    assert pull(root, "origin").new == 0
    assert spent(root).submissions == 2
    assert push(root, "origin")[:2] == (2, 1)


def test_a_remote_that_git_cannot_reach_is_said_in_a_line(
    machine: Callable[[str], Path], tmp_path: Path
) -> None:
    root = machine("one")
    for remote in ("nowhere", str(tmp_path / "no-server.git")):
        with pytest.raises(UnavailableError, match=r"^git ls-remote") as caught:
            pull(root, remote)
        assert "\n" not in str(caught.value)


def test_an_error_does_not_show_the_password_of_an_address(machine: Callable[[str], Path]) -> None:
    with pytest.raises(UnavailableError) as caught:
        pull(machine("one"), "ftp://me:secret@nowhere.invalid/x.git")
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_remote_that_refuses_is_no_race(machine: Callable[[str], Path], remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    root = machine("one")
    judge(root, "a")
    with pytest.raises(UnavailableError, match="pre-receive hook declined"):
        push(root, "origin")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://me:secret@host/team.git", "https://host/team.git"),
        ("origin", "origin"),
        ("git@host:team", "git@host:team"),
    ],
)
def test_a_password_in_an_address_is_not_written_down(
    machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    one, two = machine("one"), machine("two")
    judge(one, "a")
    push(one, "origin")
    seen = budget_module.read_shared(place_at(one, "origin"))
    monkeypatch.setattr(budget_module, "read_shared", lambda _: seen)
    pull(two, address)
    with open_ledger(Layout(two).ledger) as ledger:
        assert [event.subject for event in ledger.events()] == [said]


ASKED = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["pass", "block", "underpowered"]),
        st.sampled_from([0.0, 1e-5, 7.8e-4]),
        st.sampled_from([1.0, 2.0]),
    ),
    max_size=8,
)


def events_of(asked: list[tuple[int, str, float, float]]) -> list[Event]:
    """Verdicts on one test set: candidate, verdict, error, time."""
    found = []
    for number, verdict, error, at in asked:
        body = {
            "candidate": f"c{number}", "baseline": None, "test_set": "t", "rules": "r", "commit": "", "findings": [],
            "verdict": verdict, "error": error, "submission": 1, "at": at, "n": 400,
        }  # fmt: skip
        bare = Event(1, at, "gate.decided", f"c{number}", body, GENESIS, "")
        found.append(msgspec.structs.replace(bare, hash=event_hash(bare)))
    return found


def account_of(events: list[Event]) -> Balance:
    (found,) = accounts(line_of(events), Gate(), current="t")
    return found


@given(ASKED, ASKED)
def test_merging_never_lowers_what_is_spent(one: Any, two: Any) -> None:
    before, after = account_of(events_of(one)), account_of([*events_of(one), *events_of(two)])
    assert after.submissions >= before.submissions
    assert after.passes >= before.passes
    assert after.error_left <= before.error_left + 1e-15
    assert after.error_spent >= before.error_spent - 1e-15


@given(ASKED, ASKED)
def test_an_account_depends_on_the_set_of_verdicts_alone(one: Any, two: Any) -> None:
    events = [*events_of(one), *events_of(two)]
    assert account_of(events) == account_of([*reversed(events), *events])


@given(ASKED)
def test_the_same_rows_asked_twice_are_one_submission(asked: Any) -> None:
    found = submissions(line_of(events_of(asked)))
    assert len(found) == len({number for number, *_ in asked})
    assert sum(one.passed for one in found) == len(
        {number for number, verdict, *_ in asked if verdict == "pass"}
    )


def test_the_next_submission_costs_what_it_leaves() -> None:
    fresh = account_of([])
    assert (fresh.submissions, fresh.error_spent, fresh.next_error) == (0, 0.0, pytest.approx(0.05 / 64))
    assert fresh.error_left == pytest.approx(0.05)
    blocked, passed = (account_of(events_of([(1, verdict, 7.8e-4, 1.0)])) for verdict in ("block", "pass"))
    assert blocked.error_left == pytest.approx(fresh.error_left - fresh.cost_if_blocked)
    assert passed.error_left == pytest.approx(fresh.error_left - fresh.cost_if_passed)
    assert blocked.next_error == fresh.next_error > passed.next_error


def test_a_spent_budget_has_no_next_level() -> None:
    spent = account_of(events_of([(number, "block", 7.8e-4, 1.0) for number in range(32)]))
    assert (spent.submissions, spent.next_error, spent.error_left) == (32, 0.0, 0.0)
    assert spent.cost_if_blocked == spent.cost_if_passed == 0.0


def test_the_present_test_set_comes_first(project: Path) -> None:
    (one,) = events_of([(1, "pass", 0.0, 9.0)])
    other = msgspec.structs.replace(one, body={**one.body, "test_set": "u"})
    found = accounts([*events_of([(1, "pass", 0.0, 1.0)]), other], Gate(), current="t")
    assert [(one.test_set, one.is_current, one.rows) for one in found] == [
        ("t", True, 400),
        ("u", False, 400),
    ]
    (present,) = overview(project).test_sets
    assert (present.is_current, present.submissions) == (True, 0)


def test_the_budget_is_shown_where_there_are_no_rows_yet(project: Path) -> None:
    (project / "experiments/metrics/evaluation.csv").unlink()
    found = overview(project)
    assert found.test_sets == ()
    assert [(one.rule, one.labels) for one in found.fresh] == [
        ("not_worse accuracy", 791),
        ("min accuracy", 77),
    ]
