"""The one form of all results, and what the room may import."""

import pkgutil
import subprocess
import sys

import numpy as np
import pytest

from tidegate import stats
from tidegate.stats.auc import prove_auc_difference
from tidegate.stats.betting import prove_mean
from tidegate.stats.bootstrap import prove_batches, prove_counts, prove_mean_of, prove_rows
from tidegate.stats.calibration import prove_calibration_below
from tidegate.stats.confusion import Score, count_kinds, prove_score
from tidegate.stats.means import prove_mean_bca, prove_mean_t
from tidegate.stats.quantile import prove_quantile_below
from tidegate.stats.result import Result, Tails, complement, negate
from tidegate.stats.shares import prove_paired, prove_share

RNG = np.random.default_rng(101)
X, Y = RNG.random((2, 200))
TRUTH = RNG.random(200) < X
TAILS = {"tails": Tails(0.01, 0.1)}
TESTS = {
    "share": lambda: prove_share(180, 200, above=0.8, **TAILS),
    "paired": lambda: prove_paired(12, 9, 200, margin=0.05, **TAILS),
    "betting": lambda: prove_mean(X, above=0.4, **TAILS),
    "t": lambda: prove_mean_t(X - Y, above=-0.1, **TAILS),
    "bca": lambda: prove_mean_bca(X - Y, above=-0.1, **TAILS),
    "influence": lambda: prove_mean_of(X - 0.5, shift=0.5, above=0.4, **TAILS),
    "rows": lambda: prove_rows((X,), lambda w: float(w @ X / w.sum()), above=0.4, **TAILS),
    "counts": lambda: prove_counts(
        np.array([180, 20]), lambda c: c[:, 0] / c.sum(axis=1), above=0.8, **TAILS
    ),
    "batches": lambda: prove_batches(0.5, X, 20_000, above=0.4, **TAILS),
    "f1": lambda: prove_score(count_kinds(TRUTH, X > 0.5, X > 0.4), Score("f1"), above=-0.1, **TAILS),
    "DeLong": lambda: prove_auc_difference(TRUTH, X, X + 0.3 * Y, margin=0.05, **TAILS),
    "calibration": lambda: prove_calibration_below(TRUTH, X, limit=0.2, **TAILS),
    "quantile": lambda: prove_quantile_below(X, q=0.9, limit=0.97, **TAILS),
}


@pytest.mark.parametrize("name", TESTS)
def test_every_test_returns_the_same_record(name) -> None:
    found = TESTS[name]()
    assert isinstance(found, Result)
    assert found.low <= found.estimate <= found.high
    assert 0 <= found.p <= 1
    assert found.guarantee in ("exact", "asymptotic")
    assert found == TESTS[name]()


def test_negating_and_complementing_twice_change_nothing() -> None:
    found = prove_share(180, 200, above=0.8)
    assert negate(negate(found)) == found
    again = complement(complement(found))
    assert (again.low, again.estimate, again.high) == pytest.approx((found.low, found.estimate, found.high))


def test_no_module_of_the_room_loads_the_heavy_scipy() -> None:
    names = [module.name for module in pkgutil.iter_modules(stats.__path__)]
    loads = "; ".join(f"import tidegate.stats.{name}" for name in names)
    code = (
        f"import sys; {loads}; print([m for m in ('scipy.stats', 'pandas', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_evidence_that_counts_alone_make_needs_the_standard_library_alone() -> None:
    code = "import sys, tidegate.stats.sequential, tidegate.stats.budget; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
