"""What each test set's budget has come to: a fold over the verdicts, and what the next submission costs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.domain import Decision, Event
from tidegate.errors import NotFoundError, UsageError
from tidegate.gate.read import read_test_set
from tidegate.project import Better, Config, Gate, Min, NotWorse, load_config
from tidegate.stats.budget import Account, Grant, error_left, level, next_level, record
from tidegate.stats.power import floor_labels, normal_labels
from tidegate.store.exchange import Conflict, Question, conflicts, decided, question_of
from tidegate.store.layout import Layout
from tidegate.store.ledger import open_ledger

DISAGREE = 0.1
LEAD = 0.02


class Asked(NamedTuple):
    """One submission: whether it passed anywhere, and the largest error that it was tested at."""

    passed: bool
    error: float


class Balance(NamedTuple):
    """The account of one test set under today's settings.

    `error_spent` and `error_left` add up to what can be granted. The next submission is tested at `next_error`;
    being blocked it takes `cost_if_blocked` of what is left, passing `cost_if_passed`. `apart` submissions were
    tested at more than their place in the line allows, by `excess` in all: machines did not know of each other,
    or the settings have changed.
    """

    test_set: str
    rows: int
    is_current: bool
    submissions: int
    allowed: int
    passes: int
    error: float
    error_spent: float
    error_left: float
    next_error: float
    cost_if_blocked: float
    cost_if_passed: float
    apart: int
    excess: float
    first: float | None
    last: float | None


class Fresh(NamedTuple):
    """About how many labels the first submission on a fresh test set needs to pass a rule, if so it is."""

    rule: str
    assuming: str
    error: float
    power: float
    labels: int | None


class Overview(NamedTuple):
    """All accounts, verdicts that disagree, and the labels that rules would need on a fresh test set."""

    test_sets: tuple[Balance, ...]
    conflicts: tuple[Conflict, ...]
    fresh: tuple[Fresh, ...]


def overview(root: Path) -> Overview:
    """What is spent of each test set, that of the present evaluation rows first."""
    config = load_config(root)
    with open_ledger(Layout(root).ledger) as ledger:
        events = decided(ledger)
    found = accounts(events, config.gate, current=_current(root, config))
    return Overview(found, conflicts(events), tuple(fresh_labels(config.gate)))


def fresh_labels(gate: Gate) -> Iterator[Fresh]:
    """The labels for rules about accuracy, by the normal approximation; `tidegate gate --plan` is exact, and slow."""
    error = level(0, submissions=gate.submissions, error=gate.error)
    for rule in gate.rule:
        if isinstance(rule, NotWorse | Better) and rule.metric == "accuracy":
            yield _paired(rule, error=error, power=gate.power)
        elif isinstance(rule, Min) and rule.metric == "accuracy":
            rate = (rule.value + 1) / 2
            labels = floor_labels(rate, rule.value, error=error, power=gate.power)
            yield Fresh("min accuracy", f"truly {rate:.1%}", error, gate.power, labels)


def _paired(rule: NotWorse | Better, *, error: float, power: float) -> Fresh:
    """`not_worse` for an equally good candidate, `better` for one some points above the bar."""
    shift, gap = (0.0, rule.margin) if isinstance(rule, NotWorse) else (rule.by + LEAD, LEAD)
    truly = f"{100 * shift:+.3g} pp" if shift else "equally good"
    spread = math.sqrt(max(DISAGREE, shift) - shift**2)
    labels = normal_labels(spread, gap=gap, error=error, power=power) if gap else None
    return Fresh(
        f"{rule.__struct_config__.tag} accuracy",
        f"{DISAGREE:.0%} of answers change, {truly}",
        error,
        power,
        labels,
    )


def accounts(events: Iterable[Event], gate: Gate, *, current: str = "") -> tuple[Balance, ...]:
    """The account of every test set that was asked, and of the current one; the latest asked comes first."""
    asked: dict[str, list[Event]] = {current: []} if current else {}
    for event in events:
        asked.setdefault(str(event.body["test_set"]), []).append(event)
    found = [_account(name, some, gate)._replace(is_current=name == current) for name, some in asked.items()]
    return tuple(sorted(found, key=lambda one: (not one.is_current, -(one.last or 0.0), one.test_set)))


def submissions(events: Iterable[Event]) -> tuple[Asked, ...]:
    """The different questions in their line; the same rows asked twice are one, and passed if any answer did."""
    found: dict[Question, Asked] = {}
    for event in events:
        past = msgspec.convert(event.body, Decision)
        question = question_of(event)
        known = found.get(question, Asked(False, 0.0))
        found[question] = Asked(known.passed or past.verdict == "pass", max(known.error, past.error))
    return tuple(found.values())


def _account(name: str, events: Sequence[Event], gate: Gate) -> Balance:
    grant, asked = Grant(gate.submissions, gate.error), submissions(events)
    apart, account = [], Account()
    for one in asked:
        apart.append(max(0.0, one.error - next_level(account, grant)))
        account = record(account, passed=one.passed)
    left = error_left(account, grant)
    times = [event.at for event in events]
    return Balance(
        test_set=name,
        rows=max((_rows(event) for event in events), default=0),
        is_current=False,
        submissions=account.submissions,
        allowed=gate.submissions,
        passes=account.passes,
        error=gate.error,
        error_spent=error_left(Account(), grant) - left,
        error_left=left,
        next_error=next_level(account, grant),
        cost_if_blocked=left - error_left(record(account, passed=False), grant),
        cost_if_passed=left - error_left(record(account, passed=True), grant),
        apart=sum(over > 1e-12 for over in apart),
        excess=sum(apart),
        first=min(times, default=None),
        last=max(times, default=None),
    )


def _rows(event: Event) -> int:
    past = msgspec.convert(event.body, Decision)
    return past.n or max((finding.n for finding in past.findings), default=0)


def _current(root: Path, config: Config) -> str:
    """The test set of the present evaluation rows; empty where there are none to read."""
    try:
        return read_test_set(root / config.data.evaluation, config.data, config.project.task)
    except (NotFoundError, UsageError):
        return ""
