"""Reports as a run on the digits writes them: one of each kind that a reviewer meets, with real pictures."""

import base64

import pytest
from msgspec.structs import replace

from tidegate.domain import Decision, Evaluation, Finding, Measure
from tidegate.flow.pictures import Picture, png
from tidegate.gate.decide import hide
from tidegate.gate.report.record import (
    Budget,
    Case,
    Changed,
    Comparison,
    Confusion,
    Report,
    Rows,
    Shown,
    Slice,
    Stage,
    Step,
)

NOON = 1_772_366_520.0
LEVEL = 0.00156

NOT_WORSE = Finding(
    "not_worse accuracy", "block", -0.0256, -0.0412, -0.0119, 898, None,
    "9 better and 32 worse of 898 rows: difference -2.6 pp, interval [-4.1, -1.2] pp, must be above -1.0 pp",
    kind="not_worse", metric="accuracy", unit="points", candidate=0.9410, live=0.9666, bound=-0.01, error=LEVEL,
    null="the accuracy is 1 pp or more below live", counts={"gained": 9, "lost": 32},
)  # fmt: skip
EIGHT = Finding(
    "slices label=8", "block", -0.0787, -0.131, -0.031, 89, None,
    "1 better and 8 worse of 89 rows: difference -7.9 pp, interval [-13.1, -3.1] pp, "
    "proven worse (p 0.0011 after Holm)",
    kind="slices", metric="accuracy", slice="label=8", unit="points", candidate=0.8652, live=0.9438, bound=0.0,
    error=0.05, p=0.0011, null="the accuracy is at most 0 pp below live",
)  # fmt: skip
FLOOR = Finding(
    "min f1_macro", "pass", 0.9402, 0.9221, 0.9561, 898, None,
    "898 rows: f1_macro 0.9402, interval [0.9221, 0.9561], must reach 0.9",
    kind="min", metric="f1_macro", unit="share", candidate=0.9402, bound=0.9, error=LEVEL, guarantee="asymptotic",
    null="the f1_macro is below 90.0%",
)  # fmt: skip
CHURN = Finding(
    "churn", "underpowered", 0.0646, 0.0502, 0.1014, 898, 1308,
    "58 of 898 answers changed: churn 6.5%, interval [5.0%, 10.1%], must stay within 10.0%",
    kind="churn", unit="share", bound=0.1, error=LEVEL, null="more than 10.0% of the answers change",
    counts={"changed": 58},
)  # fmt: skip
LATENCY = Finding(
    "quantile latency_ms q0.99", "pass", 3.31, 3.02, 3.78, 898, None,
    "898 rows: latency_ms q0.99 3.31, interval [3.02, 3.78], must stay within 20",
    kind="quantile", metric="latency_ms q0.99", bound=20.0, error=LEVEL,
    null="the 0.99 quantile of latency_ms is above 20",
)  # fmt: skip
SIZE = Finding(
    "size", "pass", 412_000.0, 412_000.0, 412_000.0, 0, None, "the file has 412 kB, at most 5 MB",
    kind="size", unit="bytes", bound=5e6,
)  # fmt: skip
LABELS = Finding(
    "labels", "block", 0.0612, 0.0521, 0.09, 898, None,
    "55 of 898 truths look wrong by the candidate's own scores: 6.1%, interval [5.2%, 9.0%], must stay within 5.0%",
    kind="labels", severity="warn", unit="share", bound=0.05, error=LEVEL, guarantee="model-based",
    null="at most 5.0% of the truths look wrong",
)  # fmt: skip
BLOCKED = (NOT_WORSE, EIGHT, FLOOR, CHURN, LATENCY, SIZE, LABELS)

COMPARISONS = (
    Comparison(
        "accuracy", "share", 0.9410, 0.9666, -0.0256, -0.0412, -0.0119, "at most 1 pp below live", "block"
    ),
    Comparison("f1_macro", "share", 0.9402, 0.9655, -0.0253, -0.0420, -0.0105, "at least 90.0%", "pass"),
    Comparison(
        "churn", "share", 0.0646, None, None, None, None, "at most 10.0% of answers change", "underpowered",
        n_needed=1308,
    ),
    Comparison("latency_ms q0.99", "number", 3.31, 3.12, None, None, None, "at most 20", "pass"),
    Comparison("size", "bytes", 412_000, 398_000, None, None, None, "at most 5 MB", "pass"),
    Comparison("labels", "share", 0.0612, None, None, None, None, "at most 5.0% of truths look wrong", "block", "warn"),
    Comparison("balanced_accuracy", "share", 0.9407, 0.9662, -0.0255, -0.0411, -0.0115),
    Comparison("log_loss", "number", 0.2311, 0.1402, 0.0909, 0.0512, 0.1333),
    Comparison("brier", "number", 0.0911, 0.0560, 0.0351, 0.0203, 0.0502),
    Comparison("calibration_error", "number", 0.0312, 0.0288, 0.0024, -0.0061, 0.0110),
)  # fmt: skip
SLICES = (
    Slice("label=8", 89, 0.8652, 0.9438, -0.0787, -0.131, -0.031, "block"),
    Slice("label=1", 91, 0.9011, 0.9560, -0.0549, -0.110, -0.004, "pass"),
    Slice("ink:4 in [0.21, 0.26]", 224, 0.9286, 0.9643, -0.0357, -0.068, -0.006, "pass"),
    Slice("label=9", 90, 0.9333, 0.9556, -0.0222, -0.072, 0.028, "pass"),
    Slice("scanner=b", 301, 0.9502, 0.9668, -0.0166, -0.040, 0.006, "pass"),
    Slice("scanner=a", 597, 0.9497, 0.9665, -0.0168, -0.032, -0.003, "pass"),
    Slice("label=3", 91, 0.9451, 0.9560, -0.0110, -0.060, 0.038, "pass"),
    Slice("label=4", 91, 0.9780, 0.9670, 0.0110, -0.030, 0.051, "pass"),
)
CONFUSION = (
    Confusion("8", "1", 7, 2), Confusion("8", "8", 77, 84), Confusion("1", "8", 5, 1), Confusion("1", "1", 82, 87),
    Confusion("9", "3", 4, 1), Confusion("9", "9", 84, 86), Confusion("3", "9", 1, 3), Confusion("3", "3", 86, 87),
    Confusion("4", "4", 89, 88), Confusion("4", "9", 1, 2), Confusion("3", "8", 3, 1),
)  # fmt: skip
STEPS = (
    Step("style", "passed", "ruff has nothing to say", 0.4),
    Step(
        "tests",
        "passed",
        "14 passed",
        6.2,
        tuple(Case(f"test_{n}", "passed", seconds=0.4) for n in range(14)),
    ),
    Step("contract", "passed", "68 rules hold of 1,797 rows", 1.1),
    Step("stages", "passed", "2 of 4 ran", 21.4),
    Step("gate", "failed", "2 rules refuted", 3.2),
)
MERGE = (
    "Nothing: the gate blocks this candidate.",
    "Otherwise: release `v13` of `digits` at 1 → 5 → 25 → 100 % of requests, decided after about 3,100 of them.",
)


@pytest.fixture(scope="session")
def thumbnails():
    """Pictures of digits as data URLs, in the order of the data."""
    from sklearn.datasets import load_digits

    images = (load_digits().images[:48] * (255 / 16)).astype("uint8")
    files = (png(Picture(side=8, pixels=image.tobytes())) for image in images)
    return [f"data:image/png;base64,{base64.b64encode(file).decode()}" for file in files]


@pytest.fixture(scope="session")
def blocked(thumbnails):
    """A candidate that is worse, with everything that a report can say."""
    decision = Decision(
        "9b1e77aa02c4d5", "3f9c1d20ab8812", "8c1fe2a9b0d341", "77", "9b1e2f1c0d7a", BLOCKED, "block", LEVEL, 9,
        NOON, 898,
    )  # fmt: skip
    return Report(
        "digits", "9b1e2f1c0d7ab34e", NOON, "v12", 38.4, STEPS, decision,
        Evaluation("8c1fe2a9b0d341", "9b1e77aa02c4d5", 898, "multiclass", {"accuracy": Measure(0.941, 0.924, 0.956)}),
        Evaluation("8c1fe2a9b0d341", "3f9c1d20ab8812", 898, "multiclass", {"accuracy": Measure(0.967, 0.953, 0.977)}),
        COMPARISONS, SLICES,
        fixed=Rows(9, shown_rows(thumbnails[:9], said="live")),
        broken=Rows(32, shown_rows(thumbnails[9:33], said="candidate")),
        confusion=CONFUSION,
        suspects=Rows(4, shown_rows(thumbnails[33:36], said="both")),
        data=(Changed("data/raw/digits.csv", "8c1f0b2e", "b2aa91c0", ("+212 rows", "`scanner` has a new value `c`")),),
        params=(Changed("params.yaml:scale", "16", "15"), Changed("params.yaml:train.trees", "200", "40")),
        stages=(
            Stage("preprocess", "ran", ("param `scale` changed, 16 to 15", "dep `data/raw/digits.csv` changed"), 1.8),
            Stage("train", "ran", ("dep `data/processed` changed",), 17.9),
            Stage("evaluate", "ran", ("dep `model.onnx` changed",), 1.7),
            Stage("plots", "restored", ("the run cache had this run",), 0.1),
        ),
        budget=Budget(32, 9, 3, 0.00156),
        merge=MERGE,
    )  # fmt: skip


@pytest.fixture(scope="session")
def passing(blocked):
    """A candidate that is proven better."""
    better = replace(
        NOT_WORSE, verdict="pass", estimate=0.0245, low=0.009, high=0.039, candidate=0.9911,
        because="31 better and 9 worse of 898 rows: difference +2.4 pp, interval [+0.9, +3.9] pp, "
        "must be above -1.0 pp",
    )  # fmt: skip
    findings = (better, FLOOR, replace(CHURN, verdict="pass"), LATENCY, SIZE)
    gate = replace(STEPS[4], outcome="passed", because="every rule is proven")
    said = (replace(COMPARISONS[0], candidate=0.9911, change=0.0245, low=0.009, high=0.039, verdict="pass"),)
    return replace(
        blocked, steps=(*STEPS[:4], gate), comparisons=said + COMPARISONS[1:2], slices=SLICES[-2:],
        decision=replace(blocked.decision, findings=findings, verdict="pass"),
        merge=("Release `v13` of `digits` at 1 → 5 → 25 → 100 % of requests.",),
    )  # fmt: skip


@pytest.fixture(scope="session")
def underpowered(blocked):
    """A candidate of which nobody can tell yet."""
    gate = replace(STEPS[4], outcome="undecided", because="1 rule is not proven")
    decision = replace(blocked.decision, findings=(FLOOR, CHURN, LATENCY), verdict="underpowered")
    comparisons = tuple(
        found for found in COMPARISONS if found.metric in ("f1_macro", "churn", "latency_ms q0.99")
    )
    return replace(
        blocked, steps=(*STEPS[:4], gate), decision=decision, comparisons=comparisons, slices=SLICES[1:],
        merge=("Nothing: the gate waits for labels.",),
    )  # fmt: skip


@pytest.fixture(scope="session")
def first(passing):
    """A first release: nothing is live."""
    dummy = Finding(
        "simpler dummy", "pass", 0.84, 0.81, 0.87, 898, None,
        "760 better and 4 worse of 898 rows: difference +84.2 pp, interval [+81.0, +87.1] pp, must be above +0.0 pp",
        kind="simpler", metric="dummy", slice="dummy", unit="points", candidate=0.941, live=0.1, bound=0.0, error=LEVEL,
        null="the accuracy is at most 0 pp above the dummy's",
    )  # fmt: skip
    return replace(
        passing, live="", baseline=None, fixed=None, broken=None, confusion=(), suspects=None, data=(), params=(),
        decision=replace(passing.decision, baseline=None, findings=(FLOOR, dummy), submission=1),
        comparisons=(Comparison("accuracy", "share", 0.941, None, None, None, None),), slices=(),
        budget=Budget(32, 1, 1, 0.00156), merge=("Release `v1` of `digits` to all requests: nothing is live.",),
    )  # fmt: skip


@pytest.fixture(scope="session")
def hidden(blocked):
    """A gate that shows verdicts and no numbers."""
    decision = replace(blocked.decision, findings=tuple(map(hide, BLOCKED)), show="verdict")
    comparisons = tuple(
        Comparison(one.metric, one.unit, None, None, None, None, None, one.rule, one.verdict, one.severity)
        for one in COMPARISONS
        if one.rule
    )
    return replace(
        blocked, decision=decision, candidate=None, baseline=None, comparisons=comparisons, slices=(), fixed=None,
        broken=None, confusion=(), suspects=None,
    )  # fmt: skip


@pytest.fixture(scope="session")
def failed(passing):
    """A candidate that the gate would pass, with two tests that fail and a complaint about style."""
    cases = (
        Case("test_shape_of_a_row", "passed", seconds=0.1),
        Case("test_scale", "failed", "assert 15 == 16", "tests/test_train.py", 12, 0.2),
        Case("test_no_row_is_lost", "failed", "assert 1796 == 1797", "tests/test_data.py", 31, 0.1),
    )
    style = Step(
        "style",
        "failed",
        "1 complaint",
        0.3,
        (Case("F401", "failed", "`os` is not used", "src/train.py", 3),),
    )
    tests = Step("tests", "failed", "2 of 3 fail", 5.0, cases, repeats=2)
    return replace(passing, steps=(style, tests, *passing.steps[2:]))


@pytest.fixture(scope="session")
def nothing():
    """A run that looked at nothing."""
    return Report("digits", "", 0.0)


@pytest.fixture(scope="session")
def samples(blocked, passing, underpowered, first, hidden, failed, nothing):
    """Every report by its name."""
    return {
        "blocked": blocked, "passing": passing, "underpowered": underpowered, "first": first, "hidden": hidden,
        "failed": failed, "nothing": nothing,
    }  # fmt: skip


def shown_rows(pictures, *, said):
    """Rows with pictures; `said` tells who is wrong."""
    return tuple(
        Shown(
            f"{1000 + place}", str(place % 10), str((place + 7) % 10) if said != "live" else str(place % 10),
            str((place + 3) % 10) if said != "candidate" else str(place % 10), 0.5 + place % 5 / 10, picture,
        )
        for place, picture in enumerate(pictures)
    )  # fmt: skip


@pytest.fixture(scope="session")
def hostile():
    """A report in which every text from outside is the one given."""

    def report_of(text, picture=""):
        found = Finding(
            f"slices {text}", "block", -0.1, -0.2, -0.05, 100, 200, text, kind="slices", metric=text, slice=text,
            null=text, unit="points",
        )  # fmt: skip
        decision = Decision("ab", "cd", "ef", "12", text, (found,), "block", 0.001, 1, NOON, 100)
        row = Shown(text, text, text, text, 0.5, picture)
        rows = Rows(2, (row, row))
        return Report(
            text, text, NOON, text, 1.0,
            (Step("tests", "failed", text, 1.0, (Case(text, "failed", text, text, 3),), repeats=1),),
            decision, Evaluation("ef", "ab", 100, "multiclass", {}, {text: text}), None,
            (Comparison(text, "share", 0.5, 0.6, -0.1, -0.2, -0.05, text, "block"),),
            (Slice(text, 100, 0.5, 0.6, -0.1, -0.2, -0.05, "block"),),
            rows, rows, (Confusion(text, f"{text}!", 2, 1),), rows, (Changed(text, text, text, (text,)),),
            (Changed(text, text, text),), (Stage(text, "ran", (text,), 1.0),), Budget(32, 1, 0, 0.001),
            (text,), (text,),
        )  # fmt: skip

    return report_of
