"""What a table keeps as a whole: its columns, rows and keys, how fresh it is, and what two splits may not share."""

# ruff: noqa: S608 -- every name and value goes through quote_name or quote_value

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path

from tidegate.data.contract.expression import parse_expression
from tidegate.data.contract.look import Look, count_all, examples_of, of_table, query
from tidegate.data.contract.personal import suspect
from tidegate.data.contract.quote import quote_name
from tidegate.data.contract.rules import Policy, Query, Violation
from tidegate.data.contract.source import one_line
from tidegate.errors import UsageError, did_you_mean

SAMPLE = 1000


def named_columns(look: Look) -> Iterator[Violation]:
    """Columns that are missing, banned or declared by nobody."""
    rules, types = look.contract.table, look.source.types
    for column in look.contract.every:
        if column.name not in types and column.is_required:
            near = did_you_mean(column.name, types).removeprefix(", ")
            seen = f"no column `{column.name}`" + (f" ({near})" if near else "")
            policy: Policy = "flag" if {"column", "required"} & (rules.flags | column.flags) else "reject"
            yield Violation("column", column.name, look.source.name, seen, "one", policy=policy)
    declared = {column.name for column in look.contract.every}
    for name in types:
        if any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in rules.banned):
            yield of_table(look, "banned", f"column `{name}` is banned", expected="none")._replace(
                column=name
            )
        elif name not in declared and rules.unknown != "allow":
            seen, policy = f"column `{name}` is not in the contract", rules.unknown
            yield Violation("unknown", name, look.source.name, seen, "only declared ones", policy=policy)


def table_violations(look: Look, now: float) -> Iterator[Violation]:
    """Every rule of the table as a whole but its columns' names."""
    yield from _row_count(look)
    yield from _row_rules(look)
    for key in look.contract.table.keys:
        yield from _repeated(look, key)
    yield from _stale(look, now)
    yield from _split_leakage(look)
    yield from _personal(look)
    for asked in look.contract.table.queries:
        yield from _query(look, asked)


def _row_count(look: Look) -> Iterator[Violation]:
    allowed = look.contract.table.rows
    if not allowed.admits(look.rows):
        yield of_table(look, "rows", f"{look.rows:,} rows", expected=str(allowed))._replace(times=look.rows)


def _row_rules(look: Look) -> Iterator[Violation]:
    columns = [cell.column for cell in look.cells if cell.value]
    for rule in look.contract.table.row_rules:
        try:
            term = parse_expression(rule.expression, columns, look.values)
        except UsageError:  # it names a column that this file lacks, which is a violation of its own
            continue
        condition = f"not {term.sql}"
        count = count_all(look, [condition])[0]
        if count:
            examples = examples_of(look, condition, "null")
            rows = ", ".join(str(one.row) for one in examples)
            seen = f"rule `{rule.name}` is false in {count:,} of {look.rows:,} rows (row {rows})"
            yield Violation("row", "", look.source.name, seen, rule.expression, count, examples, rule.policy)


def _repeated(look: Look, key: Sequence[str]) -> Iterator[Violation]:
    """Rows that agree in all columns of a key."""
    if not all(name in look.values for name in key):
        return
    columns = ", ".join(look.values[name] for name in key)
    groups = f"select count(*) as n from {look.source.sql} group by {columns} having count(*) > 1"
    (count,) = query(look, f"select coalesce(sum(n - 1), 0)::BIGINT from ({groups})")[0]
    if count:
        names = ", ".join(f"`{name}`" for name in key)
        yield of_table(look, "key", f"{count:,} rows repeat {names}", expected="none")._replace(times=count)


def _stale(look: Look, now: float) -> Iterator[Violation]:
    fresh = look.contract.table.fresh
    if fresh is None or fresh.column not in look.values or not look.rows:
        return
    newest = f"epoch(max({look.values[fresh.column]})::TIMESTAMP)"
    (at,) = query(look, f"select {newest} from {look.source.sql}")[0]
    if at is not None and now - at > fresh.seconds:
        seen = f"the newest `{fresh.column}` is {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z"
        since = datetime.fromtimestamp(now - fresh.seconds, UTC)
        yield of_table(look, "fresh", seen, expected=f"{since:%Y-%m-%d %H:%M}Z or later")._replace(
            column=fresh.column
        )


def _personal(look: Look) -> Iterator[Violation]:
    """Columns that look like personal data although the contract does not say so, judged by SAMPLE rows."""
    policy = look.contract.table.personal
    if policy == "allow":
        return
    known = {column.name for column in look.contract.every if column.is_personal}
    texts = [name for name, kind in look.source.types.items() if kind == "VARCHAR" and name not in known]
    if not texts:
        return
    rows = query(look, f"select {', '.join(map(quote_name, texts))} from {look.source.sql} limit {SAMPLE}")
    for i, name in enumerate(texts):
        why = suspect(name, [row[i] for row in rows if row[i] is not None])
        if why:
            seen, wanted = f"column `{name}` {why}", "`tidegate.personal: true`, or no such column"
            yield Violation("personal", name, look.source.name, seen, wanted, policy=policy)


def shared_rows(look: Look, earlier: Sequence[Look]) -> Iterator[Violation]:
    """Rows of this file that stand in an earlier one as well."""
    for other in earlier:
        mine, theirs = _fingerprint(look), _fingerprint(other)
        if not mine or not theirs:
            continue
        condition = f"{mine} in (select {theirs} from {other.source.sql})"
        count = _count_where(look, condition)
        if count:
            seen = f"{count:,} of {look.rows:,} rows are also in {other.source.name}"
            found_in = of_table(look, "leakage", seen, expected="no row in two splits")
            first = f"{condition} order by file_row_number"
            yield found_in._replace(times=count, examples=examples_of(look, first, "null"))


def _count_where(look: Look, condition: str) -> int:
    return int(query(look, f"select count(*) from {look.source.sql} where {condition}")[0][0])


def _split_leakage(look: Look) -> Iterator[Violation]:
    """Rows that stand in more than one split of the same file."""
    splits = [
        look.values[c.name] for c in look.contract.others if c.role == "split" and c.name in look.values
    ]
    mine = _fingerprint(look)
    if not splits or not mine:
        return
    groups = (
        f"select count(*) as n from {look.source.sql} group by {mine} having count(distinct {splits[0]}) > 1"
    )
    (count,) = query(look, f"select coalesce(sum(n), 0)::BIGINT from ({groups})")[0]
    if count:
        seen = f"{count:,} of {look.rows:,} rows stand in more than one split"
        yield of_table(look, "leakage", seen, expected="no row in two splits")._replace(times=count)


def _fingerprint(look: Look) -> str:
    """A 64-bit hash of a row's leakage columns; two rows agree by chance once in 1.8e19 pairs."""
    names = look.contract.table.leakage
    numbers = {column.name for column in look.contract.every if column.kind in ("number", "integer")}
    if not names or not all(name in look.values for name in names):
        return ""
    return f"hash({', '.join(look.values[name] + ('::DOUBLE' if name in numbers else '') for name in names)})"


def _query(look: Look, asked: Query) -> Iterator[Violation]:
    """A check that the contract writes in SQL: one SELECT of one number, with `${object}` for the table."""
    value = _number(look, asked)
    if not asked.allowed.admits(value, look.rows):
        seen = f"query `{asked.name}` gives {value:,g}"
        yield of_table(look, "query", seen, expected=str(asked.allowed))._replace(policy=asked.policy)


def _number(look: Look, asked: Query) -> float:
    import duckdb

    where = f"contract: query `{asked.name}`"
    sql = asked.sql.replace("${object}", look.source.sql).replace("${table}", look.source.sql)
    try:
        kinds = [statement.type.name for statement in look.connection.extract_statements(sql)]
        if kinds != ["SELECT"]:
            raise UsageError(where, "expected one `select`")
        rows = look.connection.execute(sql).fetchall()
    except duckdb.Error as error:
        raise UsageError(where, one_line(error, Path())) from None
    value = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UsageError(where, "did not give one number, expected one")
    return float(value)
