"""Every kind of rule: what it measures, how it decides, and what it says when it cannot."""

import math

import msgspec
import numpy as np
import pytest

from tidegate.domain import Decision
from tidegate.gate.artifact import Artifact
from tidegate.gate.checks import Evidence, check
from tidegate.gate.decide import combine, decide, hide
from tidegate.gate.finding import Terms
from tidegate.gate.read import wanted_by
from tidegate.gate.rows import Rows
from tidegate.gate.simpler import Challenger
from tidegate.gate.suspects import find_suspects
from tidegate.project import (
    Better,
    Bytes,
    Churn,
    Distribution,
    Gate,
    Labels,
    Max,
    Memory,
    Min,
    NotWorse,
    Quantile,
    Simpler,
    Size,
    Slices,
)

TERMS = Terms(level=0.05, error=0.05, power=0.9)


def numbers(seed: int, *, noise: float = 0.5, shift: float = 0.0, n: int = 500) -> Rows:
    truth = np.random.default_rng(0).normal(size=n)
    said = truth + shift + noise * np.random.default_rng(seed).normal(size=n)
    latency = np.random.default_rng(7).exponential(10, n)
    columns = {"#latency_ms": latency}
    return Rows(
        "rows", "regression", (), 0, truth, said, None, columns, np.arange(n, dtype=np.uint32), "t", str(seed)
    )


def scored(seed: int, *, n: int = 600, signal: float = 2.0) -> Rows:
    """A binary model whose scores know as much as `signal` says."""
    truth = np.random.default_rng(0).integers(0, 2, n).astype(np.uint8)
    raw = signal * (truth - 0.5) + np.random.default_rng(seed).normal(size=n)
    scores = 1 / (1 + np.exp(-signal * raw))
    said = (scores > 0.5).astype(np.uint8)
    place = np.arange(n, dtype=np.uint32)
    return Rows("rows", "binary", ("n", "y"), 1, truth, said, scores, {}, place, "t", str(seed))


@pytest.mark.parametrize(
    ("rule", "new", "old", "verdict"),
    [
        (Max(metric="rmse", value=0.6), numbers(1), None, "pass"),
        (Max(metric="rmse", value=0.4), numbers(1), None, "block"),
        (Max(metric="rmse", value=0.51), numbers(1, n=60), None, "underpowered"),
        (Min(metric="r2", value=0.5), numbers(1), None, "pass"),
        (Min(metric="r2", value=0.95), numbers(1), None, "block"),
        (NotWorse(metric="mae", margin=0.05), numbers(1), numbers(2), "pass"),
        (NotWorse(metric="mae", margin=0.01), numbers(1, noise=1.0), numbers(2), "block"),
        (NotWorse(metric="mae", margin=0.001), numbers(1, n=100), numbers(1, shift=0.02, n=100), "underpowered"),
        (Better(metric="rmse"), numbers(1, noise=0.3), numbers(2), "pass"),
        (Better(metric="rmse", by=0.3), numbers(1, noise=0.3), numbers(2), "block"),
        (NotWorse(metric="auc", margin=0.02), scored(1), scored(2), "pass"),
        (NotWorse(metric="auc", margin=0.02), scored(1, signal=1.0), scored(2), "block"),
        (NotWorse(metric="log_loss", margin=0.1), scored(1), scored(2), "pass"),
        (NotWorse(metric="brier", margin=0.1), scored(1), scored(2), "pass"),
        (Better(metric="average_precision"), scored(1), scored(2, signal=0.5), "pass"),
        (NotWorse(metric="f1", margin=0.05), scored(1), scored(2), "pass"),
        (Min(metric="auc", value=0.85), scored(1), None, "pass"),
        (Max(metric="calibration_error", value=0.3), scored(1), None, "pass"),
        (Churn(max=0.3, tolerance=1.5), numbers(1), numbers(2), "pass"),
        (Churn(max=0.3), numbers(1), numbers(2), "block"),
        (Quantile(column="latency_ms", q=0.9, max=40.0), numbers(1), None, "pass"),
        (Quantile(column="latency_ms", q=0.9, max=15.0), numbers(1), None, "block"),
        (Quantile(column="latency_ms", q=0.99, max=100.0), numbers(1, n=200), None, "underpowered"),
    ],
)  # fmt: skip
def test_each_kind_has_its_verdicts(rule, new, old, verdict):
    (found,) = check(rule, Evidence(new, old), TERMS)
    assert found.verdict == verdict, found.because
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    assert found.null
    assert found.p is not None
    assert found.bound is not None
    assert "must" in found.because


@pytest.mark.parametrize(
    ("rule", "new", "old", "guarantee"),
    [
        (NotWorse(), scored(1), scored(2), "exact"),
        (NotWorse(metric="brier", margin=0.1), scored(1), scored(2), "exact"),
        (NotWorse(metric="auc"), scored(1), scored(2), "asymptotic"),
        (NotWorse(metric="f1"), scored(1), scored(2), "asymptotic"),
        (NotWorse(metric="log_loss"), scored(1), scored(2), "asymptotic"),
        (Min(metric="accuracy", value=0.5), scored(1), None, "exact"),
        (Max(metric="brier", value=0.5), scored(1), None, "exact"),
        (Max(metric="mae", value=0.5), numbers(1), None, "asymptotic"),
        (Quantile(column="latency_ms", max=99.0), numbers(1), None, "exact"),
        (Churn(max=0.5), scored(1), scored(2), "exact"),
    ],
)
def test_each_finding_carries_its_guarantee(rule, new, old, guarantee):
    assert check(rule, Evidence(new, old), TERMS)[0].guarantee == guarantee


def test_a_loss_keeps_its_own_sign():
    (found,) = check(NotWorse(metric="mae", margin=0.05), Evidence(numbers(1), numbers(2)), TERMS)
    assert found.estimate == pytest.approx(found.candidate - found.live)
    assert found.low <= found.estimate <= found.high < found.bound == 0.05
    assert found.because.endswith("must be below +0.05")


def test_what_is_missing_is_planned_for_from_the_spread():
    rows, other = numbers(2, n=200), numbers(1, n=200)
    (found,) = check(NotWorse(metric="mae", margin=0.03), Evidence(rows, other), TERMS)
    assert found.verdict == "underpowered"
    assert found.n_needed > 200
    (found,) = check(Quantile(column="latency_ms", q=0.99, max=100.0), Evidence(rows, None), TERMS)
    assert found.n_needed == pytest.approx(300, abs=150)


def test_an_open_mode_passes_what_is_inconclusive():
    evidence = Evidence(scored(1, n=60), scored(2, n=60))
    closed, opened = (check(NotWorse(mode=mode), evidence, TERMS)[0] for mode in ("fp_free", "fn_free"))
    assert (closed.verdict, opened.verdict) == ("underpowered", "pass")
    bad = Evidence(scored(1, signal=0.0), scored(2))
    assert check(NotWorse(mode="fn_free"), bad, TERMS)[0].verdict == "block"


@pytest.mark.parametrize(
    ("rule", "artifact", "verdict", "words"),
    [
        (Size(max=Bytes(2_000_000)), Artifact("d", 1_500_000), "pass", "size 1.5 MB, must stay within 2 MB"),
        (Size(max=Bytes(1_000_000)), Artifact("d", 1_500_000), "block", "size 1.5 MB, must stay within 1 MB"),
        (Size(max=Bytes(1_000)), None, "underpowered", "size not measured: there is no model file"),
        (Memory(max=Bytes(9_000)), Artifact("d", 1, 8_000), "pass", "memory 8 kB, must stay within 9 kB"),
        (Memory(max=Bytes(9_000)), Artifact("d", 1, None, "no opset"), "underpowered", "memory not measured: no opset"),
    ],
)  # fmt: skip
def test_the_file_that_ships_has_limits(rule, artifact, verdict, words):
    (found,) = check(rule, Evidence(scored(1), None, artifact=artifact), TERMS)
    assert (found.verdict, found.because) == (verdict, words)


def test_another_file_behind_the_same_rows_is_another_question_only_where_a_rule_asks():
    for rule, submission in ((Size(max=Bytes(10)), 2), (Min(value=0.1), 1)):
        gate = Gate(rule=(rule,))
        first = decide(gate, Evidence(scored(1), None, artifact=Artifact("a", 9)), (), now=0.0, commit="")
        again = Evidence(scored(1), None, artifact=Artifact("b", 11))
        assert decide(gate, again, (first,), now=0.0, commit="").submission == submission


def test_a_shifted_distribution_is_a_warning():
    rule = Distribution()
    same = check(rule, Evidence(numbers(1), numbers(2)), TERMS)[0]
    moved = check(rule, Evidence(numbers(1, shift=1.0), numbers(2)), TERMS)[0]
    assert (same.verdict, moved.verdict, moved.severity) == ("pass", "block", "warn")
    assert moved.because.startswith("prediction differs from live by")
    classes = check(
        rule, Evidence(scored(1)._replace(prediction=np.ones(600, dtype=np.uint8)), scored(2)), TERMS
    )
    assert (classes[0].verdict, classes[0].method) == ("block", "drift e-value")
    scores = check(Distribution(column="score"), Evidence(scored(1), scored(2)), TERMS)
    assert scores[0].verdict == "pass"


def test_simple_models_must_not_be_as_good():
    rule = Simpler()
    candidate = scored(1)
    challengers = {"linear": Challenger(scored(2)), "tree": Challenger(None, "scikit-learn is not installed")}
    found = check(rule, Evidence(candidate, scored(3), challengers), TERMS)
    assert [(f.check, f.verdict, f.severity) for f in found] == [
        ("simpler dummy", "pass", "warn"),
        ("simpler linear", "underpowered", "warn"),
        ("simpler tree", "underpowered", "warn"),
    ]
    assert found[2].because == "a tree of depth 3 was not judged: scikit-learn is not installed"


def test_the_dummy_of_a_regression_says_the_middle():
    (found,) = check(Simpler(than=("dummy",)), Evidence(numbers(1), None), TERMS)
    assert (found.verdict, found.metric) == ("pass", "mae")
    (found,) = check(Simpler(than=("dummy",)), Evidence(numbers(1, noise=3.0), None), TERMS)
    assert found.verdict == "block"


def test_truths_that_look_wrong_are_counted():
    pytest.importorskip("cleanlab")
    rows = scored(1, signal=6.0)
    assert check(Labels(max=0.05), Evidence(rows, None), TERMS)[0].verdict == "pass"
    flipped = rows.truth.copy()
    flipped[:120] = 1 - flipped[:120]
    (found,) = check(Labels(max=0.05), Evidence(rows._replace(truth=flipped), None), TERMS)
    assert (found.verdict, found.severity) == ("block", "warn")
    assert found.counts["suspects"] == pytest.approx(120, abs=20)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (scored(1)._replace(scores=None), "there is no score for each class"),
        (scored(1)._replace(truth=np.zeros(600, dtype=np.uint8)), "every truth is the same class"),
        (scored(1)._replace(scores=-scored(1).scores), "scores are no probabilities"),
    ],
)
def test_without_usable_scores_no_truth_is_suspected(rows, why):
    assert find_suspects(rows) == why
    (found,) = check(Labels(), Evidence(rows, None), TERMS)
    assert (found.verdict, found.severity) == ("underpowered", "warn")


def test_warnings_never_block():
    gate = Gate(rule=(NotWorse(margin=0.05), Distribution(tolerance=0.01), Simpler()))
    moved = numbers(1)._replace(task="regression")
    evidence = Evidence(scored(1), scored(1)._replace(digest="live"), {"linear": Challenger(scored(1))})
    decision = decide(gate, evidence, (), now=0.0, commit="")
    assert decision.verdict == "pass"
    assert {f.severity for f in decision.findings if f.verdict != "pass"} == {"warn"}
    warned = check(Churn(max=0.01, severity="warn"), Evidence(moved, numbers(2)), TERMS)
    assert (warned[0].verdict, combine(warned)) == ("block", "pass")


def test_a_gate_that_shows_verdicts_shows_no_number():
    rules = (NotWorse(), Min(value=0.5), Slices(where=("x",)), Churn(max=0.2))
    new, old = (
        scored(seed)._replace(columns={"?x": np.arange(600) < 300}, digest=str(seed)) for seed in (1, 2)
    )
    decision = decide(Gate(show="verdict", rule=rules), Evidence(new, old), (), now=0.0, commit="")
    assert isinstance(decision, Decision)
    assert decision.show == "verdict"
    for found in decision.findings:
        assert (found.estimate, found.low, found.high, found.p, found.n_needed) == (None,) * 5
        assert (found.candidate, found.live, found.counts) == (None, None, {})
        assert "interval" not in found.because
    shown = decide(Gate(rule=rules), Evidence(new, old), (), now=0.0, commit="")
    assert decision.verdict == shown.verdict
    assert [hide(found).because for found in shown.findings] == [f.because for f in decision.findings]


def test_rules_ask_for_the_columns_they_read():
    gate = Gate(
        rule=(
            Slices(by=("region",), bins=("age:4",), where=("age > 3",)),
            Quantile(column="latency_ms", max=9.0),
            Distribution(column="score"),
            Max(metric="quantile_loss(0.9)", value=1.0),
        )
    )
    wanted = wanted_by(gate, "regression")
    assert wanted.values == ("region",)
    assert wanted.numbers == ("age", "latency_ms", "?score", "?prediction_0.9")
    assert (wanted.where, wanted.scores) == (("age > 3",), True)


def test_a_quantile_with_few_rows_has_no_upper_end():
    (found,) = check(
        Quantile(column="latency_ms", q=0.99, max=100.0), Evidence(numbers(1, n=50), None), TERMS
    )
    assert found.high is None
    assert "unbounded" in found.because
    assert not math.isnan(found.estimate)
