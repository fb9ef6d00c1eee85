"""The quality checks of a contract, and our custom properties: what the standard lets one say about values."""

from collections.abc import Collection
from typing import Any

from tidegate.data.contract.odcs import CUSTOM, METRICS, OPERATORS, OURS, QUALITY, QUALITY_TYPES, UNITS
from tidegate.data.contract.place import Place
from tidegate.data.contract.rules import NONE_ALLOWED, POLICIES, Allowance, Check, Query, TableRules
from tidegate.errors import did_you_mean

INVALID = ("validValues", "pattern")


def read_custom(place: Place, level: str) -> dict[str, Place]:
    """Our custom properties at this level by name; UsageError for one of ours that nobody knows."""
    found: dict[str, Place] = {}
    for entry in place.at("customProperties").items(what="customProperties"):
        entry.mapping(CUSTOM, what="a custom property")
        name = entry.at("property").string(what="property")
        if not name.startswith("tidegate."):
            continue
        if name not in OURS[level]:
            raise entry.at("property").wrong(
                f"unknown property `{name}` of a {level}{did_you_mean(name, OURS[level])}"
            )
        if name in found:
            raise entry.at("property").wrong(f"property `{name}` appears twice, names must be distinct")
        found[name] = entry.at("value")
    return found


def parse_policy(place: Place | None, rules: Collection[str]) -> frozenset[str]:
    """The rules that are only flagged: one policy for all, or a mapping from rule to policy."""
    if place is None:
        return frozenset()
    if isinstance(place.value, str):
        return frozenset(rules) if place.choice(POLICIES, what="policy") == "flag" else frozenset()
    place.mapping(rules, what="tidegate.policy")
    return frozenset(rule for rule in place.value if place.at(rule).choice(POLICIES, what="policy") == "flag")


def parse_checks(quality: Place) -> tuple[list[Check], frozenset[str]]:
    """The checks of one column's values, and those of them that are only flagged."""
    checks: list[Check] = []
    flags: set[str] = set()
    for place in quality.items(what="quality"):
        if not _is_ours(place):
            continue
        if place.value.get("type", "library") == "sql":
            raise place.wrong(
                "a `sql` check of a column is not enforced", hint="move it to the object's quality"
            )
        found = _column_checks(place)
        checks += found
        flags |= {check.rule for check in found} if _is_flag(place) else set()
    return checks, frozenset(flags)


def parse_quality(quality: Place, rules: TableRules) -> TableRules:
    """The rules of a table with those of its quality checks added."""
    for place in quality.items(what="quality"):
        if not _is_ours(place):
            continue
        if place.value.get("type", "library") == "sql":
            query = place.at("query").string(what="query")
            name = str(place.value.get("name") or query)
            found = Query(name, query, _allowance(place), "flag" if _is_flag(place) else "reject")
            rules = rules._replace(queries=(*rules.queries, found))
            continue
        rules = _with_metric(place, rules)
    return rules


def _with_metric(place: Place, rules: TableRules) -> TableRules:
    metric = place.at("metric").choice(METRICS, what="metric")
    if metric == "rowCount":
        flags = rules.flags | {"rows"} if _is_flag(place) else rules.flags
        return rules._replace(rows=_allowance(place), flags=flags)
    if metric != "duplicateValues":
        raise place.at("metric").wrong(
            f"`{metric}` of a whole object is not enforced, expected it at a column"
        )
    if _allowance(place) != NONE_ALLOWED:
        raise place.wrong("`duplicateValues` of several columns must be 0")
    names = place.at("arguments").mapping(("properties",), what="arguments").at("properties")
    key = tuple(item.string(what="a column") for item in names.items(what="properties"))
    flags = rules.flags | {"key"} if _is_flag(place) else rules.flags
    return rules._replace(keys=(*rules.keys, key), flags=flags)


def _is_ours(place: Place) -> bool:
    """Whether a check can be enforced here; prose and the checks of other engines are not ours."""
    place.mapping(QUALITY, what="a quality check")
    return place.at("type", "library").choice(QUALITY_TYPES, what="type") in ("library", "sql")


def _is_flag(place: Place) -> bool:
    custom = read_custom(place, "check").get("tidegate.policy")
    return custom is not None and custom.choice(POLICIES, what="policy") == "flag"


def _column_checks(place: Place) -> list[Check]:
    metric = place.at("metric").choice(METRICS, what="metric")
    allowed = _allowance(place)
    if metric == "rowCount":
        raise place.at("metric").wrong("`rowCount` belongs to the object, expected a metric of values")
    if metric == "nullValues":
        return [Check("required", None, allowed)]
    if metric == "duplicateValues":
        return [Check("unique", None, allowed)]
    if metric == "missingValues":
        return _missing(place.at("arguments"), allowed)
    return _invalid(place.at("arguments").mapping(INVALID, what="arguments"), allowed)


def _missing(arguments: Place, allowed: Allowance) -> list[Check]:
    """The values that stand for a missing one; null among them counts as well."""
    arguments.mapping(("missingValues",), what="arguments")
    places = list(arguments.at("missingValues").items(what="missingValues"))
    named = tuple(place.scalar(what="a value") for place in places if place.value is not None)
    nulls = [Check("required", None, allowed)] if len(named) < len(places) else []
    return nulls + ([Check("missing", named, allowed)] if named else [])


def _invalid(arguments: Place, allowed: Allowance) -> list[Check]:
    found = []
    if arguments.has("validValues"):
        values = tuple(
            place.scalar(what="a value") for place in arguments.at("validValues").items(what="validValues")
        )
        if not values:
            raise arguments.at("validValues").wrong("validValues is empty, expected at least one value")
        found.append(Check("values", values, allowed))
    if arguments.has("pattern"):
        found.append(Check("pattern", parse_pattern(arguments.at("pattern")), allowed))
    if not found:
        raise arguments.wrong("`invalidValues` needs `validValues` or `pattern`, found neither")
    return found


def parse_pattern(place: Place) -> str:
    """A regular expression; UsageError for one that is none."""
    import re

    pattern = place.string(what="pattern")
    try:
        re.compile(pattern)
    except re.error as error:
        raise place.wrong(f"pattern `{pattern}` is no regular expression, {error}") from None
    return pattern


def _allowance(place: Place) -> Allowance:
    """What the check's operator admits; a check has exactly one."""
    given = [name for name in OPERATORS if place.has(name)]
    if len(given) != 1:
        raise place.wrong(f"{len(given)} operators, expected one of `mustBe`, `mustBeLessThan` and the like")
    is_percent = place.at("unit", "rows").choice(UNITS, what="unit") == "percent"
    return _of_operator(given[0], place.at(given[0]))._replace(is_percent=is_percent)


def _of_operator(name: str, bound: Place) -> Allowance:
    if name.endswith("Between"):
        ends: list[Any] = [end.number(what=name) for end in bound.items(what=name)]
        if len(ends) != 2 or ends[0] > ends[1]:
            raise bound.wrong(f"{name} is {bound.value!r}, expected two numbers in order")
        return Allowance(ends[0], ends[1], is_outside=name == "mustNotBeBetween")
    value = bound.number(what=name)
    return {
        "mustBe": NONE_ALLOWED if value == 0 else Allowance(value, value),
        "mustNotBe": Allowance(value, value, is_outside=True),
        "mustBeGreaterThan": Allowance(low=value, is_open=True),
        "mustBeGreaterOrEqualTo": Allowance(low=value),
        "mustBeLessThan": NONE_ALLOWED if value == 1 else Allowance(high=value, is_open=True),
        "mustBeLessOrEqualTo": Allowance(high=value),
    }[name]
