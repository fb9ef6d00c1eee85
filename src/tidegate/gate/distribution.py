"""Whether answers or scores are still distributed as the live model's on the same rows."""

import msgspec
import numpy as np

from tidegate.domain import Finding
from tidegate.errors import UsageError
from tidegate.gate.finding import Case, Terms, finite, note
from tidegate.gate.rows import Rows, count
from tidegate.project import CONFIG, Distribution
from tidegate.stats.distribution import Difference, drifted_levels, kolmogorov_smirnov


def judge_distribution(rule: Distribution, new: Rows, old: Rows, *, terms: Terms) -> Finding:
    """Blocks, or warns, when it is proven that the distribution moved by more than the tolerance.

    Numbers by the two-sample Kolmogorov-Smirnov test, classes by one window of the drift detector, which
    knows the same counts. Inconclusive rows pass.
    """
    null = f"no share of {rule.column} below a value moved by more than {rule.tolerance:.1%}"
    case = Case("distribution", rule.column, null=null, severity=rule.severity, unit="share")
    found, at = _difference(rule, new, old)
    proven = found.p <= terms.error
    words = (
        f"{rule.column} differs from live by {found.distance:.1%} of rows at most, at {at} "
        f"(p {found.p:.2g}), tolerated are {rule.tolerance:.1%}"
    )
    finding = note(case, "block" if proven else "pass", words, n=count(new))
    return msgspec.structs.replace(
        finding,
        estimate=found.distance,
        bound=rule.tolerance,
        error=terms.error,
        p=found.p,
        log_e=None if found.log_e is None else finite(found.log_e),
        guarantee="asymptotic",
        method="Kolmogorov-Smirnov" if found.log_e is None else "drift e-value",
    )


def _difference(rule: Distribution, new: Rows, old: Rows) -> tuple[Difference, str]:
    if rule.column == "prediction" and new.classes:
        seen, known = (np.bincount(rows.prediction, minlength=len(rows.classes)) for rows in (new, old))
        found = drifted_levels(known, seen)
        return found, f"`{new.classes[int(found.at)]}`"
    found = kolmogorov_smirnov(_values(rule, old), _values(rule, new), tolerance=rule.tolerance)
    return found, f"{found.at:.4g}"


def _values(rule: Distribution, rows: Rows) -> np.ndarray:
    if rule.column == "prediction":
        return rows.prediction
    column = rows.columns.get(f"#{rule.column}")
    if isinstance(column, np.ndarray):
        return column
    if rows.scores is None:
        found = f"no column `{rule.column}` in {rows.name}, expected `prediction`, the scores or a number"
        raise UsageError(f"{CONFIG}: gate.rule.column", found)
    found_scores: np.ndarray = rows.scores if rows.scores.ndim == 1 else rows.scores.max(axis=1)
    return found_scores
