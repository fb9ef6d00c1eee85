"""Truths that look wrong by the candidate's own scores: confident learning, as cleanlab does it."""

import importlib

import numpy as np

from tidegate.domain import Finding
from tidegate.gate.finding import Case, Terms, conclude, note
from tidegate.gate.rows import Rows, count
from tidegate.project import Labels
from tidegate.stats.result import complement
from tidegate.stats.shares import prove_share


def judge_labels(rule: Labels, rows: Rows, *, terms: Terms) -> Finding:
    """Whether the share of suspect truths is within its limit.

    The rows are held out, so that their scores are what cleanlab calls out-of-sample. Inconclusive rows pass.
    """
    null = f"at most {rule.max:.1%} of the truths look wrong"
    case = Case("labels", null=null, severity=rule.severity, is_open=True, unit="share")
    found = find_suspects(rows)
    if isinstance(found, str):
        return note(case, "underpowered", f"suspect truths were not looked for: {found}")
    n, suspects = count(rows), len(found)
    clean = prove_share(n - suspects, n, above=1 - rule.max, tails=terms.tails)
    case = case._replace(metric="suspect truths", counts={"suspects": suspects})
    return conclude(case, complement(clean), rule.max, terms=terms, is_below=True)


def find_suspects(rows: Rows) -> np.ndarray | str:
    """Which rows have a truth that looks wrong, most suspect first; or why that cannot be told."""
    scores = rows.scores
    if scores is None or (scores.ndim == 1 and len(rows.classes) != 2):
        return "there is no score for each class"
    if len(np.unique(rows.truth)) < 2:
        return "every truth is the same class"
    if scores.ndim == 1:
        other = [1 - scores, scores] if rows.positive == 1 else [scores, 1 - scores]
        scores = np.stack(other, axis=1)
    total = scores.sum(axis=1, keepdims=True)
    if (scores < 0).any() or not (total > 0).all():
        return "scores are no probabilities"
    try:
        find_label_issues = importlib.import_module("cleanlab.filter").find_label_issues
    except ModuleNotFoundError:
        return "cleanlab is not installed (pip install 'tidegate[labels]')"
    found = find_label_issues(
        rows.truth.astype(int), scores / total, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return np.asarray(found)
