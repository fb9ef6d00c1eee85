"""Names and values in SQL: whatever they hold, they cannot leave their quotes."""


def quote_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_value(value: object) -> str:
    """A value as an SQL literal; numbers as doubles, so that no decimal arithmetic is involved."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) < 2**63:
        return str(value)
    if isinstance(value, int | float):
        return f"{float(value)!r}::DOUBLE"
    return "'" + str(value).replace("'", "''") + "'"
