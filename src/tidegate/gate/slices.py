"""Slices: no part of the test set may be proven worse than live, however good the whole looks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tidegate.domain import Finding
from tidegate.gate.answers import changes
from tidegate.gate.finding import Case, Terms, conclude, labels_needed, note
from tidegate.gate.measures import metric_of
from tidegate.gate.metric import Bar, Metric, goodness, lacks
from tidegate.gate.rows import Coded, Rows, coded_of, numbers_of, take
from tidegate.gate.words import plain
from tidegate.project import Slices
from tidegate.stats.compare import holm
from tidegate.stats.result import Result, Tails, negate

SHOWN = 5
WORST = 3


class Part(NamedTuple):
    """A slice by name: both models on its rows."""

    name: str
    new: Rows
    old: Rows


class Tested(NamedTuple):
    """A slice that was judged, with its p-value corrected for all of them.

    `share` is the part of the error that this slice is tested at.
    """

    part: Part
    p: float
    share: float


def judge_slices(rule: Slices, candidate: Rows, live: Rows, *, terms: Terms) -> tuple[Finding, ...]:
    """The slices proven worse, or, when none is, the worst ones.

    Each slice of at least `min_rows` rows is tested, corrected by Holm so that a good candidate is blocked with
    probability `error` at most. With `pass_only_if_all_proven` each must be proven not worse, each at the level
    of the whole submission: an intersection-union test needs no correction.
    """
    metric = metric_of(rule.named)
    parts, skipped = _judgeable(rule, metric, cut(rule, candidate), candidate, live)
    if not parts:
        return (note(_case(rule, metric), "pass", f"no slice was tested{_listed(skipped)}"),)
    if rule.mode == "pass_only_if_all_proven":
        return _all_proven(rule, metric, parts, skipped, terms=terms)
    tested = _test(parts, rule, metric, error=terms.error)
    worse = [found for found in tested if found.p <= terms.error]
    shown = worse or tested[:WORST]
    tail = "" if worse else f" (one of {len(tested)} slices){_listed(skipped)}"
    return tuple(_finding(found, rule, metric, error=terms.error, tail=tail) for found in shown)


def cut(rule: Slices, rows: Rows) -> dict[str, np.ndarray]:
    """The rows of each slice, by its name: `column=value`, `column in [a, b]`, or the condition."""
    found: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(rule.by):
        cells = coded_of(rows, name)
        found |= {f"{name}={level}": index for level, index in _levels(cells)}
    for text in dict.fromkeys(rule.bins):
        name, _, bins = text.rpartition(":")
        found |= dict(_bins(name, numbers_of(rows, name), int(bins)))
    for text in dict.fromkeys(rule.where):
        found[text] = np.flatnonzero(numbers_of(rows, text, mark="?"))
    return found


def _levels(cells: Coded) -> Iterator[tuple[str, np.ndarray]]:
    order = np.argsort(cells.codes, kind="stable")
    ends = np.cumsum(np.bincount(cells.codes, minlength=len(cells.levels)))
    starts = np.concatenate([[0], ends[:-1]])
    return ((level, order[starts[code] : ends[code]]) for code, level in enumerate(cells.levels))


def _bins(name: str, values: np.ndarray, bins: int) -> Iterator[tuple[str, np.ndarray]]:
    """Parts of about equal size; equal values stay together, so that there may be fewer."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    place = np.searchsorted(edges, values, side="left")
    ends = [plain(edge) for edge in edges]
    for number in range(len(edges) + 1):
        low = f"above {ends[number - 1]}" if number else ""
        high = f"up to {ends[number]}" if number < len(edges) else ""
        yield f"{name} {' and '.join(part for part in (low, high) if part)}", np.flatnonzero(place == number)


def _judgeable(
    rule: Slices, metric: Metric, cuts: Mapping[str, np.ndarray], new: Rows, old: Rows
) -> tuple[list[Part], dict[str, str]]:
    """The slices that can be tested, and why the others cannot."""
    parts, skipped = [], {}
    for name, index in cuts.items():
        if len(index) < rule.min_rows:
            if len(index):
                skipped[name] = f"{len(index)} of {rule.min_rows} rows"
            continue
        part = Part(name, take(new, index), take(old, index))
        reason = lacks(metric.name, part.new) or lacks(metric.name, part.old)
        if reason:
            skipped[name] = reason
        else:
            parts.append(part)
    return parts, skipped


def _test(parts: Sequence[Part], rule: Slices, metric: Metric, *, error: float) -> list[Tested]:
    """Worst first; the k-th smallest p-value is tested at error / (slices - k)."""
    tails = Tails(error / len(parts), error / len(parts))
    raw = [metric.p_of(part.old, part.new, Bar(rule.margin, tails)) for part in parts]
    found = sorted(zip(holm(raw), raw, range(len(parts)), strict=True))
    return [
        Tested(parts[number], corrected, error / (len(parts) - rank))
        for rank, (corrected, _, number) in enumerate(found)
    ]


def _finding(found: Tested, rule: Slices, metric: Metric, *, error: float, tail: str) -> Finding:
    """What a slice shows; the proof is of "worse", so that the finding's p is the claim's contrary turned round."""
    part = found.part
    tails = Tails(found.share, found.share)
    worse = negate(metric.compare(part.old, part.new, Bar(rule.margin, tails)))
    terms = Terms(found.share, found.share, 0.9)
    bound = -rule.margin * metric.sign
    finding = conclude(
        _case(rule, metric, part), goodness(metric, worse), bound, terms=terms, is_below=metric.sign < 0
    )
    is_worse = found.p <= error
    words = f"proven worse (p {found.p:.2g} after Holm)" if is_worse else f"not proven worse{tail}"
    return msgspec.structs.replace(
        finding,
        verdict="block" if is_worse else "pass",
        p=found.p,
        because=f"{finding.because.rpartition(', must')[0]}, {words}",
    )


def _all_proven(
    rule: Slices, metric: Metric, parts: Sequence[Part], skipped: Mapping[str, str], *, terms: Terms
) -> tuple[Finding, ...]:
    error = Terms(terms.level, terms.error / len(parts), terms.power)
    found = [(part, metric.compare(part.new, part.old, Bar(-rule.margin, error.tails))) for part in parts]
    found.sort(key=lambda pair: -pair[1].p)
    findings = [_proven(part, one, rule, metric, terms=error) for part, one in found]
    short = [finding for finding in findings if finding.verdict != "pass"]
    if short:
        return tuple(short)
    said = f"{findings[0].because} (all {len(parts)} slices are proven){_listed(skipped)}"
    return (msgspec.structs.replace(findings[0], because=said), *findings[1:WORST])


def _proven(part: Part, found: Result, rule: Slices, metric: Metric, *, terms: Terms) -> Finding:
    bound = -rule.margin * metric.sign
    case = _case(rule, metric, part)
    finding = conclude(case, goodness(metric, found), bound, terms=terms, is_below=metric.sign < 0)
    if finding.verdict != "underpowered":
        return finding
    gap = rule.margin if rule.margin > 0 else found.estimate
    return msgspec.structs.replace(finding, n_needed=labels_needed(found, gap, terms=terms))


def _case(rule: Slices, metric: Metric, part: Part | None = None) -> Case:
    name = metric.name.text
    worse = "above" if metric.sign < 0 else "below"
    size = f"{100 * rule.margin:.3g} pp" if metric.unit == "share" else plain(rule.margin)
    is_all = rule.mode == "pass_only_if_all_proven"
    null = (
        f"the {name} is {size} or more {worse} live"
        if is_all
        else f"the {name} is at most {size} {worse} live"
    )
    case = Case(
        "slices",
        name,
        null=null,
        severity=rule.severity,
        unit="points" if metric.unit == "share" else "number",
    )
    if part is None:
        return case._replace(part=", ".join((*rule.by, *rule.bins, *rule.where)))
    case = case._replace(part=part.name, values=(metric.measure(part.new), metric.measure(part.old)))
    if name != "accuracy":
        return case
    gained, lost, _ = changes(part.new, part.old)
    return case._replace(counts={"gained": gained, "lost": lost})


def _listed(skipped: Mapping[str, str]) -> str:
    if not skipped:
        return ""
    shown = ", ".join(f"{name} ({why})" for name, why in list(skipped.items())[:SHOWN])
    more = f" and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
    return f"; not tested: {shown}{more}"
