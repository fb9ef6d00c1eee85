"""A contract as a document of the Open Data Contract Standard, with comments for the person who reviews it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidegate.data.contract.odcs import API_VERSION
from tidegate.data.contract.rules import (
    NONE_ALLOWED,
    Allowance,
    Check,
    Column,
    Contract,
    Items,
    Policy,
    Range,
    TableRules,
)

Lines = list[str]
Notes = Mapping[str, Sequence[str]]

DEFAULT = TableRules()


def render_contract(contract: Contract, notes: Notes | None = None) -> str:
    """The contract as an ODCS document; `notes` are comments above a column's entry, "" is the document."""
    comments = notes or {}
    lines = [
        *(f"# {line}" for line in comments.get("", ())),
        f"apiVersion: {API_VERSION}",
        "kind: DataContract",
        f"id: {_scalar(f'urn:tidegate:contract:{contract.name}')}",
        f"name: {_scalar(contract.name)}",
        f"version: {_version(contract.version)}",
        "status: active",
        *_servers(contract),
        "schema:",
        f"- name: {_scalar(contract.name)}",
        "  logicalType: object",
        "  properties:",
    ]
    for column in contract.every:
        lines += [f"  # {line}" for line in comments.get(column.name, ())] + _column(column)
    return "\n".join([*lines, *_table(contract.table), *_agreements(contract), *_serving(contract)]) + "\n"


def _version(version: str) -> str:
    return version if re.fullmatch(r"\d+\.\d+\.\d+", version) else _scalar(version)


def _servers(contract: Contract) -> Lines:
    entries = [
        {
            "server": server.name,
            "type": "local",
            "path": server.path,
            "format": server.path.rpartition(".")[2],
        }
        for server in contract.servers
    ]
    return ["servers:", *(f"- {_scalar(entry)}" for entry in entries)] if entries else []


def _column(column: Column) -> Lines:
    keys: dict[str, Any] = {"logicalType": column.kind, "required": column.is_required}
    lines = [
        f"  - name: {_scalar(column.name)}",
        *(f"    {key}: {_scalar(value)}" for key, value in keys.items()),
    ]
    checks = {check.rule: check for check in column.checks}
    if "unique" in checks and checks["unique"].allowed == NONE_ALLOWED and "unique" not in column.flags:
        lines.append("    unique: true")
        del checks["unique"]
    if options := _options(checks):
        lines.append(f"    logicalTypeOptions: {_scalar(options)}")
    if items := checks.get("items"):
        lines += [f"    {key}: {_scalar(value)}" for key, value in _array(items.argument).items()]
    if column.classification:
        lines.append(f"    classification: {_scalar(column.classification)}")
    if column.examples:
        lines.append(f"    examples: {_scalar(list(column.examples))}")
    return lines + _block("quality", _quality(checks), 4) + _block("customProperties", _custom(column), 4)


def _options(checks: Mapping[str, Check]) -> dict[str, Any]:
    """The checks that the standard's `logicalTypeOptions` can say; a pattern with an allowance is none."""
    found = _bounds(checks["range"].argument) if "range" in checks else {}
    if "step" in checks:
        found["multipleOf"] = checks["step"].argument
    if "length" in checks:
        found |= _present(
            {"minLength": checks["length"].argument.low, "maxLength": checks["length"].argument.high}
        )
    if "pattern" in checks and checks["pattern"].allowed == NONE_ALLOWED:
        found["pattern"] = checks["pattern"].argument
    return found


def _bounds(limits: Range) -> dict[str, Any]:
    low = "exclusiveMinimum" if limits.is_low_open else "minimum"
    high = "exclusiveMaximum" if limits.is_high_open else "maximum"
    return _present({low: limits.low, high: limits.high})


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _array(items: Items) -> dict[str, Any]:
    checks = {check.rule: check for check in items.checks}
    inner: dict[str, Any] = {"logicalType": items.kind} | _present(
        {"logicalTypeOptions": _options(checks) or None}
    )
    if quality := _quality(checks):
        inner["quality"] = quality
    for dim in reversed(items.shape[1:]):
        inner = {"logicalType": "array"} | _sized(dim, Range()) | {"items": inner}
    return _sized(items.shape[0], items.size) | {"items": inner}


def _sized(dim: int, size: Range) -> dict[str, Any]:
    ends = {"minItems": dim, "maxItems": dim} if dim >= 0 else {"minItems": size.low, "maxItems": size.high}
    return _present({"logicalTypeOptions": _present(ends) or None})


def _quality(checks: Mapping[str, Check]) -> list[dict[str, Any]]:
    return [entry for check in checks.values() if (entry := _check(check))]


def _check(check: Check) -> dict[str, Any] | None:
    entry = {"type": "library"}
    if check.rule == "values":
        return _entry("invalidValues", {"validValues": list(check.argument)}, check.allowed)
    if check.rule == "pattern" and check.allowed != NONE_ALLOWED:
        return _entry("invalidValues", {"pattern": check.argument}, check.allowed)
    if check.rule == "missing":
        return _entry("missingValues", {"missingValues": list(check.argument)}, check.allowed)
    metric = {"required": "nullValues", "unique": "duplicateValues"}.get(check.rule)
    return entry | {"metric": metric} | operator_of(check.allowed) if metric else None


def _entry(metric: str, arguments: Mapping[str, Any], allowed: Allowance) -> dict[str, Any]:
    return {"type": "library", "metric": metric, "arguments": arguments} | operator_of(allowed)


def operator_of(allowed: Allowance) -> dict[str, Any]:
    """The standard's operator for what is admitted."""
    unit = {"unit": "percent"} if allowed.is_percent else {}
    low, high = allowed.low, allowed.high
    if low is not None and high is not None:
        name = "Between" if low != high else ""
        prefix = "mustNotBe" if allowed.is_outside else "mustBe"
        return {f"{prefix}{name}": [low, high] if name else low} | unit
    if high is not None:
        named: dict[str, Any] | None = {"mustBe": 0} if high == 0 and not allowed.is_open else None
        return (named or {"mustBeLessThan" if allowed.is_open else "mustBeLessOrEqualTo": high}) | unit
    return {"mustBeGreaterThan" if allowed.is_open else "mustBeGreaterOrEqualTo": low} | unit


def _custom(column: Column) -> list[dict[str, Any]]:
    found: list[tuple[str, Any]] = []
    if column.role != "feature":
        found.append(("role", column.role))
    if column.is_personal:
        found.append(("personal", True))
    if column.is_nan_missing:
        found.append(("nan", "missing"))
    if column.flags:
        found.append(("policy", _policies(column.flags)))
    return _properties(found)


def _policies(flags: Iterable[str]) -> dict[str, Policy]:
    return dict.fromkeys(sorted(flags), "flag")


def _properties(pairs: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{"property": f"tidegate.{name}", "value": value} for name, value in pairs]


def _table(table: TableRules) -> Lines:
    quality: list[dict[str, Any]] = []
    if table.rows != DEFAULT.rows:
        quality.append({"type": "library", "metric": "rowCount"} | operator_of(table.rows))
    quality += [_entry("duplicateValues", {"properties": list(key)}, NONE_ALLOWED) for key in table.keys]
    for query in table.queries:
        flag = {"customProperties": _properties([("policy", "flag")])} if query.policy == "flag" else {}
        quality.append(
            {"type": "sql", "name": query.name, "query": query.sql} | operator_of(query.allowed) | flag
        )
    found: list[tuple[str, Any]] = [
        (name, getattr(table, name)) for name in ("unknown", "personal") if getattr(table, name) != "allow"
    ]
    found += [(name, list(getattr(table, name))) for name in ("banned", "leakage") if getattr(table, name)]
    if table.row_rules:
        found.append(("rules", [rule._asdict() for rule in table.row_rules]))
    if table.flags:
        found.append(("policy", _policies(table.flags)))
    return _block("quality", quality, 2) + _block("customProperties", _properties(found), 2)


def _agreements(contract: Contract) -> Lines:
    fresh = contract.table.fresh
    if fresh is None:
        return []
    entry = {
        "property": "freshness",
        "value": fresh.seconds,
        "unit": "s",
        "element": f"{contract.name}.{fresh.column}",
    }
    return _block("slaProperties", [entry], 0)


def _serving(contract: Contract) -> Lines:
    changed = {key: value for key, value in contract.serving._asdict().items() if value != "reject"}
    return _block("customProperties", _properties([("serving", changed)]), 0) if changed else []


def _block(key: str, entries: Sequence[Mapping[str, Any]], indent: int) -> Lines:
    space = " " * indent
    return [f"{space}{key}:", *(f"{space}- {_scalar(entry)}" for entry in entries)] if entries else []


def _scalar(value: Any) -> str:
    """A value in YAML's flow style: JSON with plain keys and words; surrogate pairs become whole characters."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z][A-Za-z_.]+", value)
        and value.lower() not in _NOT_TEXT
    ):
        return value
    pairs = r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})"
    if isinstance(value, float):
        return repr(value) if "." in repr(value) else _exponent(value)
    return re.sub(pairs, lambda pair: f"\\U{_joined(pair[1], pair[2]):08x}", json.dumps(value))


_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "nan", "inf"})


def _exponent(value: float) -> str:
    """A float such as 1e-07 with the point that YAML 1.2 wants."""
    digits, _, power = repr(value).partition("e")
    return f"{digits}.0e{power}" if power else repr(value)


def _joined(high: str, low: str) -> int:
    return 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00
