"""The types of all values in a dvc.yaml, as DVC demands them before templates are filled in."""

from collections.abc import Callable, Mapping
from typing import Any

from tidegate.pipeline.faults import FaultError, Place, named

Check = Callable[[Any, Place], None]


def check_types(document: Mapping[str, Any]) -> None:
    """Raise FaultError at the first value of another type than DVC reads there; which keys there are is not judged."""
    _DOCUMENT(document, ())


def _is_a(kind: type, expected: str) -> Check:
    def check(value: Any, place: Place) -> None:
        if not isinstance(value, kind):
            raise FaultError(place, f"{named(value)} found, expected {expected}")

    return check


_TEXT = _is_a(str, "text")
_FLAG = _is_a(bool, "true or false")
_LIST = _is_a(list, "a list")
_MAPPING = _is_a(dict, "a mapping")


def _each(check: Check) -> Check:
    """A list whose items pass a check."""

    def check_items(value: Any, place: Place) -> None:
        _LIST(value, place)
        for i, item in enumerate(value):
            check(item, (*place, i))

    return check_items


def _values(check: Check) -> Check:
    """A mapping from texts to values that pass a check."""

    def check_values(value: Any, place: Place) -> None:
        _MAPPING(value, place)
        for key, part in value.items():
            _TEXT(key, (*place, key))
            check(part, (*place, key))

    return check_values


def _fields(**checks: Check) -> Check:
    """A mapping whose values pass the check of their key."""

    def check_fields(value: Any, place: Place) -> None:
        _MAPPING(value, place)
        for key, part in value.items():
            if key in checks:
                checks[key](part, (*place, key))

    return check_fields


def _unless(kind: type | tuple[type, ...], check: Check) -> Check:
    """Values of this type are fine, others pass a check."""

    def check_rest(value: Any, place: Place) -> None:
        if not isinstance(value, kind):
            check(value, place)

    return check_rest


_REMARKS: dict[str, Check] = {"desc": _TEXT, "type": _TEXT, "labels": _each(_TEXT)}
_FLAGS: dict[str, Check] = {
    **_REMARKS,
    **dict.fromkeys(("cache", "persist", "push", "checkpoint"), _FLAG),
    "remote": _TEXT,
}
_LABELS = dict.fromkeys(("x_label", "y_label", "title", "template"), _TEXT)
_PLOT_OUT = _fields(**_FLAGS, **_LABELS, x=_TEXT, y=_TEXT, header=_FLAG)
_PLOT = _fields(
    **_LABELS,
    x=_unless(str, _values(_TEXT)),
    y=_unless((str, list), _values(_unless((str, list), _TEXT))),
)
_OUTS = _each(_unless(str, _values(_fields(**_FLAGS))))
_VARS = _each(_unless(str, _MAPPING))
_STAGE = _fields(
    cmd=_unless(list, _TEXT),
    wdir=_TEXT,
    deps=_each(_TEXT),
    params=_each(_unless(str, _MAPPING)),
    vars=_VARS,
    frozen=_FLAG,
    desc=_TEXT,
    always_changed=_FLAG,
    outs=_OUTS,
    metrics=_OUTS,
    plots=_each(_unless(str, _values(_unless(list, _PLOT_OUT)))),
    matrix=_values(_unless(list, _TEXT)),
)
_GROUP = _fields(foreach=_unless((dict, list), _TEXT), do=_STAGE)


def _stage_or_group(value: Any, place: Place) -> None:
    _MAPPING(value, place)
    (_GROUP if "foreach" in value or "do" in value else _STAGE)(value, place)


_DOCUMENT = _fields(
    stages=_values(_stage_or_group),
    vars=_VARS,
    params=_each(_TEXT),
    metrics=_each(_TEXT),
    plots=_each(_unless(str, _values(_unless(type(None), _PLOT)))),
    artifacts=_values(_fields(path=_TEXT, **_REMARKS)),
)
