"""What a reviewer is told about a candidate, gathered once; every form of the report is rendered from it."""

from typing import Literal

from tidegate.domain import Consequence, Decision, Evaluation, Record, Unit, Verdict

Outcome = Literal["passed", "failed", "undecided", "skipped"]
Action = Literal["ran", "restored", "skipped", "stale", "failed"]


class Case(Record, frozen=True):
    """One thing that a step looked at: a test, a rule of the contract, a complaint of the linter.

    `path` and `line` say where it is, as far as it has a place; `line` counts from 1.
    """

    name: str
    outcome: Outcome
    because: str = ""
    path: str = ""
    line: int | None = None
    seconds: float = 0.0


class Step(Record, frozen=True):
    """One step of `tidegate ci`: what it did, how it ended and how long it took.

    `repeats` says how often the same step ended otherwise before on the very same inputs.
    """

    name: Literal["style", "tests", "contract", "stages", "gate"]
    outcome: Outcome
    because: str
    seconds: float
    cases: tuple[Case, ...] = ()
    repeats: int = 0


class Comparison(Record, frozen=True):
    """A metric of the candidate beside live: the table that is read first.

    `unit` is that of the two values; `change` and its interval are differences, of shares in points. The interval
    is of 95 %, unless a rule has tested the change: then it is the rule's own. `rule` says in words what was
    asked, "" for a metric that no rule is about, whose `verdict` is None. Every number is None where the gate
    shows only verdicts.
    """

    metric: str
    unit: Unit
    candidate: float | None
    live: float | None
    change: float | None
    low: float | None
    high: float | None
    rule: str = ""
    verdict: Verdict | None = None
    severity: Consequence = "block"
    n_needed: int | None = None


class Slice(Record, frozen=True):
    """A part of the test set: accuracy, in a regression the mean absolute error, and its `change` against live."""

    name: str
    n: int
    candidate: float
    live: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict | None = None


class Shown(Record, frozen=True):
    """A row of the test set that is worth a look; `picture` is a data URL, "" where the row is no image.

    `confidence` is the candidate's score of its answer. Of a suspect `truth` is the label given, `candidate`
    the one that the scores suggest, and `confidence` the score of the one given.
    """

    id: str
    truth: str
    candidate: str
    live: str = ""
    confidence: float | None = None
    picture: str = ""


class Rows(Record, frozen=True):
    """A group of rows: how many there are, and the first of them; of numbers those that changed most."""

    count: int
    shown: tuple[Shown, ...] = ()


class Confusion(Record, frozen=True):
    """How often a truth was answered so, by the candidate and by live.

    Cells that changed; with nothing live (then None) the candidate's most frequent mistakes.
    """

    truth: str
    answer: str
    candidate: int
    live: int | None


class Changed(Record, frozen=True):
    """A data file or param that differs from what made the live model; `notes` say how, most telling first."""

    name: str
    was: str
    now: str
    notes: tuple[str, ...] = ()


class Stage(Record, frozen=True):
    """What happened to a stage of the pipeline, and why."""

    name: str
    action: Action
    because: tuple[str, ...] = ()
    seconds: float = 0.0


class Budget(Record, frozen=True):
    """The account of the test set: submissions asked and passed of those allowed, and the next one's error."""

    submissions: int
    asked: int
    passed: int
    next_error: float


class Report(Record, frozen=True):
    """Everything that a report says.

    Empty fields are left out of every form. `live` names what is served, such as `v3`; `took` is in seconds;
    `fixed` and `broken` are rows that only the candidate, or only live, answers right; in a regression those
    whose error shrank or grew. `merge` says what a merge would do, a sentence a line; `missing` what could not
    be told, and why.
    """

    name: str
    commit: str
    at: float
    live: str = ""
    took: float | None = None
    steps: tuple[Step, ...] = ()
    decision: Decision | None = None
    candidate: Evaluation | None = None
    baseline: Evaluation | None = None
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[Slice, ...] = ()
    fixed: Rows | None = None
    broken: Rows | None = None
    confusion: tuple[Confusion, ...] = ()
    suspects: Rows | None = None
    data: tuple[Changed, ...] = ()
    params: tuple[Changed, ...] = ()
    stages: tuple[Stage, ...] = ()
    budget: Budget | None = None
    merge: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
