"""Slices: no part of the test set may be proven worse than live, however good the whole looks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.domain import Finding
from tidegate.errors import UsageError, did_you_mean
from tidegate.gate.evaluate import Rows
from tidegate.gate.pairs import Pair, changes, interval, p_worse, points, sentence, tally
from tidegate.project import CONFIG, Slices
from tidegate.stats.compare import holm

SHOWN = 5


class Tested(NamedTuple):
    """A slice large enough to judge, with its p-value of "not worse" corrected for all slices.

    `share` is the part of the error that Holm's procedure tests this slice at.
    """

    name: str
    pair: Pair
    p: float
    share: float


def judge_slices(rule: Slices, candidate: Rows, baseline: Rows, *, error: float) -> tuple[Finding, ...]:
    """One blocking finding for each slice proven worse, else one passing finding with the worst slice.

    Each slice of at least `min_rows` rows is tested exactly, corrected by Holm so that a good
    candidate is blocked with probability `error` at most. Raises UsageError for an unknown column.
    """
    pairs = cut(rule.by, candidate, changes(candidate, baseline))
    small = {name: pair.n for name, pair in pairs.items() if pair.n < rule.min_rows}
    large = {name: pair for name, pair in pairs.items() if name not in small}
    if not large:
        return (_untested(rule, small),)
    tested = _test(large, rule.margin, error=error)
    proven = tuple(_blocked(found, rule.margin) for found in tested if found.p <= error)
    return proven or (_passed(rule, tested, small),)


def cut(by: Sequence[str], rows: Rows, changed: Sequence[int]) -> dict[str, Pair]:
    """The counts of each slice under the name `column=value`; `truth` is always a column."""
    columns = {"truth": rows.truth, **rows.columns}
    groups: dict[str, list[int]] = {}
    for name in dict.fromkeys(by):
        if name not in columns:
            found = f"no column `{name}` in the evaluation rows{did_you_mean(name, columns)}"
            raise UsageError(
                f"{CONFIG}: gate.rule.by", found, hint=f"slices can be cut by {', '.join(columns)}"
            )
        for value, change in zip(columns[name], changed, strict=True):
            groups.setdefault(f"{name}={value}", []).append(change)
    return {name: tally(groups[name]) for name in sorted(groups)}


def _test(large: Mapping[str, Pair], margin: float, *, error: float) -> list[Tested]:
    """Worst first; the k-th smallest p-value is tested at error / (slices - k)."""
    raw = [p_worse(pair, margin=margin, error=error / len(large)) for pair in large.values()]
    found = sorted(zip(holm(raw), raw, large.items(), strict=True))
    return [
        Tested(name, pair, corrected, error / (len(large) - rank))
        for rank, (corrected, _, (name, pair)) in enumerate(found)
    ]


def _blocked(found: Tested, margin: float) -> Finding:
    span = interval(found.pair, error=found.share)
    because = f"{sentence(found.pair, span)}, proven below {points(-margin)} pp (p {found.p:.2g} after Holm)"
    name = f"slices {found.name}"
    return Finding(name, "block", found.pair.difference, span.low, span.high, found.pair.n, None, because)


def _passed(rule: Slices, tested: Sequence[Tested], small: Mapping[str, int]) -> Finding:
    worst = tested[0]
    span = interval(worst.pair, error=worst.share)
    count = f"{len(tested)} slices" if len(tested) > 1 else "1 slice"
    because = (
        f"none of {count} proven below {points(-rule.margin)} pp; "
        f"worst {worst.name} (p {worst.p:.2g} after Holm): {sentence(worst.pair, span)}{_listed(rule, small)}"
    )
    pair = worst.pair
    return Finding(_name(rule), "pass", pair.difference, span.low, span.high, pair.n, None, because)


def _untested(rule: Slices, small: Mapping[str, int]) -> Finding:
    return Finding(_name(rule), "pass", 0.0, -1.0, 1.0, 0, None, f"no slice was tested{_listed(rule, small)}")


def _listed(rule: Slices, small: Mapping[str, int]) -> str:
    if not small:
        return ""
    shown = ", ".join(f"{name} ({n})" for name, n in list(small.items())[:SHOWN])
    more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
    return f"; below {rule.min_rows} rows and not tested: {shown}{more}"


def _name(rule: Slices) -> str:
    return f"slices {', '.join(rule.by)}"
