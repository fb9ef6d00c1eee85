"""Reasons in words: what a person reads next to a stage."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.data.params import ABSENT
from tidegate.pipeline.plan import Reason

_WIDTH = 60


def explain(reason: Reason) -> str:
    """One reason as a clause, old value first: `params.yaml:train.trees 10 -> 40`."""
    return _SENTENCES[reason.kind](reason)


def as_dict(reason: Reason) -> dict[str, Any]:
    """One reason for programs; keys that do not apply are left out."""
    fields = {"kind": reason.kind, "subject": reason.subject, "change": reason.change}
    values = {"was": reason.was, "now": reason.now}
    known = {key: value for key, value in values.items() if value is not ABSENT}
    return {key: value for key, value in fields.items() if value} | known | {"because": explain(reason)}


def _explain_dep(reason: Reason) -> str:
    if reason.change == "missing":
        return f"dep {reason.subject} is missing"
    if reason.change == "added":
        return f"dep {reason.subject} is not in dvc.lock yet"
    if reason.change == "removed":
        return f"dep {reason.subject} is in dvc.lock but no longer in dvc.yaml"
    return f"dep {reason.subject} changed ({_short(reason.was)} -> {_short(reason.now)})"


def _explain_out(reason: Reason) -> str:
    words = {
        "missing": "is missing",
        "added": "is not in dvc.lock yet",
        "not in cache": "is not in the cache",
        "modified": "differs from dvc.lock",
        "removed": "is in dvc.lock but no longer in dvc.yaml",
    }
    return f"out {reason.subject} {words[reason.change]}"


def _explain_param(reason: Reason) -> str:
    if reason.change == "missing":
        return f"param {reason.subject} is missing"
    if reason.change == "removed":
        return f"param {reason.subject} is in dvc.lock but no longer in dvc.yaml"
    found = changed_values(reason.subject, reason.was, reason.now)
    return ", ".join(f"{path} {_show(was)} -> {_show(now)}" for path, was, now in found)


def changed_values(path: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """The values in two nested mappings that differ, each with its dotted path; ABSENT where there is none."""
    old, new = ({} if value is ABSENT else value for value in (was, now))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from changed_values(f"{path}.{key}", old.get(key, ABSENT), new.get(key, ABSENT))
    elif was != now:
        yield path, was, now


def _show(value: Any) -> str:
    text = "(none)" if value is ABSENT else "; ".join(value) if _is_lines(value) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _short(value: Any) -> str:
    return "?" if value is ABSENT else str(value)[:8]


_SENTENCES = {
    "new": lambda _: "never ran",
    "always": lambda _: "runs every time",
    "forced": lambda _: "forced",
    "upstream": lambda reason: f"stage {reason.subject} runs first",
    "cmd": lambda reason: f"command changed: {_show(reason.was)} -> {_show(reason.now)}",
    "dep": _explain_dep,
    "param": _explain_param,
    "out": _explain_out,
}
