"""A contract from a table in memory: for a project that has none of its own."""

from typing import Any

from tidegate.data.contract.rules import Column, Contract, Kind
from tidegate.data.tables import Table


def infer_contract(name: str, table: Table) -> Contract:
    """The contract that a table's values keep: a column without an empty cell is required."""
    return Contract(name, tuple(_inferred(column, table.values[column]) for column in table.columns))


def _inferred(name: str, values: list[Any]) -> Column:
    present = [value for value in values if value is not None and value != ""]
    return Column(name, _kind_of(present), len(present) == len(values))


def _kind_of(values: list[Any]) -> Kind:
    kinds = {type(value) for value in values}
    if kinds and kinds <= {bool}:
        return "boolean"
    if kinds and kinds <= {int}:
        return "integer"
    return "number" if kinds <= {int, float} else "string"
