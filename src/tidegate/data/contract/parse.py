"""A contract from its document: everything is checked at line and column before any of it is used."""

from typing import Any, cast

from tidegate.data.contract.column import parse_column
from tidegate.data.contract.expression import parse_expression
from tidegate.data.contract.odcs import AGREEMENT, API_VERSION, DOCUMENT, OBJECT, TIME_UNITS
from tidegate.data.contract.place import Place
from tidegate.data.contract.quality import parse_policy, parse_quality, read_custom
from tidegate.data.contract.rules import (
    POLICIES,
    TABLE_RULES,
    Column,
    Contract,
    Freshness,
    Policy,
    RowRule,
    Server,
    Serving,
    TableRules,
)
from tidegate.data.yaml import parse_yaml
from tidegate.errors import UsageError, did_you_mean


def parse_contract(text: str, where: str = "contract.odcs.yaml") -> Contract:
    """The contract in an ODCS document with one schema object.

    Raises UsageError at file, line and column for what is not one, for unknown keys, and for rules that
    cannot be enforced. Parts of the standard that say nothing about the data are left alone.
    """
    document = Place(text, where, parse_yaml(text, where))
    if not isinstance(document.value, dict) or document.value.get("kind") != "DataContract":
        raise document.at("kind").wrong("not a data contract, expected `kind: DataContract`")
    document.mapping(DOCUMENT, what="the contract")
    if not str(document.value.get("apiVersion", API_VERSION)).startswith("v3."):
        raise document.at("apiVersion").wrong(f"apiVersion is not v3, expected {API_VERSION}")
    schema = document.at("schema")
    if not isinstance(schema.value, list) or len(schema.value) != 1 or not isinstance(schema.value[0], dict):
        raise schema.wrong("`schema` must be a list of one object")
    return _contract(document, schema.at(0))


def _contract(document: Place, table: Place) -> Contract:
    properties = table.at("properties")
    if not isinstance(properties.value, list) or not properties.value:
        raise properties.wrong("`properties` must be a list of at least one column")
    table.mapping(OBJECT, what="the schema object")
    every = [parse_column(place) for place in properties.items(what="properties")]
    _require_distinct(properties, every)
    return Contract(
        str(document.value.get("name") or table.value.get("name") or ""),
        tuple(column for column in every if column.role == "feature"),
        tuple(column for column in every if column.role != "feature"),
        _table_rules(document, table, every),
        _serving(read_custom(document, "document")),
        tuple(_servers(document.at("servers"))),
        str(document.value.get("version", "1.0.0")),
    )


def _table_rules(document: Place, table: Place, columns: list[Column]) -> TableRules:
    custom = read_custom(table, "object")
    rules = parse_quality(table.at("quality"), TableRules())
    flags = rules.flags | parse_policy(custom.get("tidegate.policy"), TABLE_RULES)
    personal = custom.get("tidegate.personal")
    unknown = custom.get("tidegate.unknown")
    choices = (*POLICIES, "allow")
    rules = rules._replace(
        flags=flags,
        banned=tuple(place.string(what="a banned column") for place in _list(custom, "tidegate.banned")),
        leakage=_leakage(custom.get("tidegate.leakage"), columns),
        personal=cast(Any, personal.choice(choices, what="tidegate.personal") if personal else "allow"),
        unknown=cast(Any, unknown.choice(choices, what="tidegate.unknown") if unknown else "allow"),
        row_rules=tuple(_row_rule(place, columns) for place in _list(custom, "tidegate.rules")),
        fresh=_freshness(document, columns),
    )
    for key in rules.keys:
        _require_known(table.at("quality"), key, columns)
    return rules


def _list(custom: dict[str, Place], name: str) -> list[Place]:
    return list(custom[name].items(what=name)) if name in custom else []


def _leakage(place: Place | None, columns: list[Column]) -> tuple[str, ...]:
    """The columns by which rows of two splits are compared; `true` means all features."""
    if place is None or place.value is False:
        return ()
    if place.value is True:
        return tuple(column.name for column in columns if column.role == "feature")
    named = tuple(item.string(what="a column") for item in place.items(what="tidegate.leakage"))
    _require_known(place, named, columns)
    return named


def _row_rule(place: Place, columns: list[Column]) -> RowRule:
    place.mapping(("name", "expression", "policy"), what="a rule")
    text = place.at("expression").string(what="expression")
    try:
        parse_expression(text, columns)
    except UsageError as error:
        raise place.at("expression").wrong(
            f"{error.where}: {error.message}" if error.where else error.message
        ) from None
    policy = place.at("policy", "reject").choice(POLICIES, what="policy")
    name = place.at("name").string(what="name") if place.has("name") else text
    return RowRule(name, text, cast(Policy, policy))


def _freshness(document: Place, columns: list[Column]) -> Freshness | None:
    for place in document.at("slaProperties").items(what="slaProperties"):
        place.mapping(AGREEMENT, what="an agreement")
        if place.value.get("property") != "freshness":
            continue
        default = document.value.get("slaDefaultElement")
        element = place.at("element", default).string(what="element").rpartition(".")[2]
        _require_known(place.at("element"), (element,), columns)
        kind = next(column.kind for column in columns if column.name == element)
        if kind not in ("date", "timestamp"):
            raise place.at("element").wrong(
                f"column `{element}` is a {kind}, freshness needs a date or timestamp"
            )
        unit = place.at("unit", "d").choice(TIME_UNITS, what="unit")
        return Freshness(element, place.at("value").number(what="value") * TIME_UNITS[unit])
    return None


def _serving(custom: dict[str, Place]) -> Serving:
    place = custom.get("tidegate.serving")
    if place is None:
        return Serving()
    place.mapping(Serving._fields, what="tidegate.serving")
    policy = place.at("on_violation", "reject").choice(POLICIES, what="on_violation")
    fields = place.at("unknown_fields", "reject").choice(("reject", "ignore"), what="unknown_fields")
    return Serving(cast(Any, policy), cast(Any, fields))


def _servers(places: Place) -> list[Server]:
    """The local files; servers of other types are not for us to read."""
    found = []
    for place in places.items(what="servers"):
        if isinstance(place.value, dict) and place.value.get("type") == "local":
            path = place.at("path").string(what="path")
            found.append(Server(str(place.value.get("server") or path), path))
    return found


def _require_known(place: Place, names: tuple[str, ...], columns: list[Column]) -> None:
    known = [column.name for column in columns]
    for name in names:
        if name not in known:
            raise place.wrong(f"unknown column `{name}`{did_you_mean(name, known)}")


def _require_distinct(properties: Place, columns: list[Column]) -> None:
    seen = set()
    for i, column in enumerate(columns):
        if column.name in seen:
            place = properties.at(i).at("name")
            raise place.wrong(f"column `{column.name}` appears twice, names must be distinct")
        seen.add(column.name)
