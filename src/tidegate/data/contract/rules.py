"""The nouns of the data contract: columns, the rules their values keep, and what breaks one."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["number", "integer", "string", "boolean", "date", "timestamp", "array"]
Policy = Literal["reject", "flag"]
Role = Literal["feature", "label", "id", "split", "other"]
KINDS: tuple[str, ...] = get_args(Kind)
POLICIES: tuple[str, ...] = get_args(Policy)
ROLES: tuple[str, ...] = get_args(Role)

# rules of one column, in the order in which they are reported; the first four follow from its type
COLUMN_RULES = (
    "type", "required", "finite", "missing", "range", "step", "values", "pattern", "length", "items", "unique",
)  # fmt: skip
TABLE_RULES = (
    "column", "unknown", "banned", "personal", "rows", "key", "fresh", "leakage", "row", "query",
)  # fmt: skip

Scalar = str | int | float | bool


class Allowance(NamedTuple):
    """How many rows may break a rule, or how many rows there may be; `percent` of all rows if so said.

    `low` and `high` bound the count, inclusively unless open; `is_outside` turns it round.
    """

    low: float | None = None
    high: float | None = None
    is_open: bool = False
    is_outside: bool = False
    is_percent: bool = False

    def admits(self, count: float, total: int = 0) -> bool:
        """Whether this count, of `total` rows, is allowed."""
        size = 100 * count / max(total, 1) if self.is_percent else count
        above = self.low is None or (size > self.low if self.is_open else size >= self.low)
        below = self.high is None or (size < self.high if self.is_open else size <= self.high)
        return (above and below) != self.is_outside

    def __str__(self) -> str:
        """The bound in words, such as `at least 1,000`."""
        unit = " %" if self.is_percent else ""
        return (
            ("not " if self.is_outside else "") + say_range(self.low, self.high, is_open=self.is_open) + unit
        )


NONE_ALLOWED = Allowance(high=0)


class Range(NamedTuple):
    """The smallest and largest value; a bound that is open is not allowed itself. Dates are ISO text."""

    low: float | str | None = None
    high: float | str | None = None
    is_low_open: bool = False
    is_high_open: bool = False

    def __str__(self) -> str:
        """The bounds in words, such as `0 to 16`."""
        if not (self.is_low_open or self.is_high_open):
            return say_range(self.low, self.high, is_open=False)
        low = [] if self.low is None else [f"{'above' if self.is_low_open else 'at least'} {_say(self.low)}"]
        high = (
            [] if self.high is None else [f"{'below' if self.is_high_open else 'at most'} {_say(self.high)}"]
        )
        return " and ".join(low + high)


class Check(NamedTuple):
    """One rule of a column: its argument, and how many rows may break it.

    The argument is a Range for `range`, allowed values for `values`, a regular expression for `pattern`,
    a Range of characters for `length`, forbidden values for `missing`, a number for `step`, Items for `items`.
    """

    rule: str
    argument: Any = None
    allowed: Allowance = NONE_ALLOWED


class Items(NamedTuple):
    """What an array holds: the kind and checks of its items, and its dimensions (-1 is any length)."""

    kind: str
    shape: tuple[int, ...] = (-1,)
    checks: tuple[Check, ...] = ()
    size: Range = Range()


class Column(NamedTuple):
    """A column and its logical type; `is_required` columns may not be missing or null.

    `flags` names the rules whose violations are only flagged, `is_nan_missing` reads NaN as null,
    `is_personal` says that personal data is expected here, `examples` are values for a person to see,
    `classification` is how sensitive the values are, in words of the owner's; `restricted` ones are not logged.
    """

    name: str
    kind: str
    is_required: bool = True
    role: str = "feature"
    checks: tuple[Check, ...] = ()
    flags: frozenset[str] = frozenset()
    is_nan_missing: bool = False
    is_personal: bool = False
    examples: tuple[Scalar, ...] = ()
    classification: str = ""

    def policy(self, rule: str) -> Policy:
        """What a violation of this rule leads to."""
        return "flag" if rule in self.flags else "reject"


class RowRule(NamedTuple):
    """A relation between the columns of one row: an expression that may not be false."""

    name: str
    expression: str
    policy: Policy = "reject"


class Query(NamedTuple):
    """A query of one number over the table, such as the standard's `sql` checks, and the values it may have."""

    name: str
    sql: str
    allowed: Allowance
    policy: Policy = "reject"


class Freshness(NamedTuple):
    """The newest value of a column of times may be this old."""

    column: str
    seconds: float


class TableRules(NamedTuple):
    """What a table as a whole keeps; `closed` names the policy for columns nobody declared ("" is none).

    `keys` are sets of columns whose values are unique together; rows that agree in `leakage` columns may
    not appear in two splits; `flags` names the rules whose violations are only flagged.
    """

    rows: Allowance = Allowance(low=1)
    keys: tuple[tuple[str, ...], ...] = ()
    leakage: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    unknown: Policy | Literal["allow"] = "allow"
    personal: Policy | Literal["allow"] = "allow"
    row_rules: tuple[RowRule, ...] = ()
    queries: tuple[Query, ...] = ()
    fresh: Freshness | None = None
    flags: frozenset[str] = frozenset()

    def policy(self, rule: str) -> Policy:
        """What a violation of this rule leads to."""
        return "flag" if rule in self.flags else "reject"


class Serving(NamedTuple):
    """What the endpoint does with a row that breaks the contract, and with fields nobody declared."""

    on_violation: Policy = "reject"
    unknown_fields: Literal["reject", "ignore"] = "reject"


class Server(NamedTuple):
    """A file that the contract is about, relative to the contract."""

    name: str
    path: str


class Contract(NamedTuple):
    """The columns of one row, in the order in which the model takes them.

    `others` are columns that only tables have, such as the label and the row's id.
    """

    name: str
    columns: tuple[Column, ...]
    others: tuple[Column, ...] = ()
    table: TableRules = TableRules()
    serving: Serving = Serving()
    servers: tuple[Server, ...] = ()
    version: str = "1.0.0"

    @property
    def every(self) -> tuple[Column, ...]:
        """All columns of a table."""
        return self.columns + self.others


class Example(NamedTuple):
    """A row that breaks a rule: its number from 1, its id when the contract names one, and the value."""

    row: int
    id: Any
    value: Any


class Violation(NamedTuple):
    """What broke a rule, where and how often; `found` and `expected` make the sentence."""

    rule: str
    column: str
    path: str
    found: str
    expected: str
    times: int = 1
    examples: tuple[Example, ...] = ()
    policy: Policy = "reject"

    def __str__(self) -> str:
        """The violation as one sentence."""
        return f"{self.path}: {self.found}, expected {self.expected}"


def checks_of(column: Column) -> tuple[Check, ...]:
    """Every check of a column: those that its type implies, then those it declares, in a fixed order."""
    implied = [Check("type")]
    if column.is_required:
        implied.append(Check("required"))
    if column.kind == "number":
        implied.append(Check("finite"))
    declared = {check.rule for check in column.checks}
    found = [check for check in implied if check.rule not in declared] + list(column.checks)
    return tuple(sorted(found, key=lambda check: COLUMN_RULES.index(check.rule)))


def argument_of(column: Column, rule: str) -> Any:
    """The argument of one of a column's declared checks; None without it."""
    return next((check.argument for check in column.checks if check.rule == rule), None)


def read_timestamp(text: str) -> "datetime":
    """A time in ISO 8601 as UTC without a zone, as tables hold it; ValueError for what is none."""
    from datetime import UTC, datetime

    found = datetime.fromisoformat(text)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def say_range(low: float | str | None, high: float | str | None, *, is_open: bool) -> str:
    """Bounds in words."""
    if low is not None and low == high:
        return f"exactly {_say(low)}"
    if low is not None and high is not None:
        between = f"{_say(low)} to {_say(high)}"
        return f"between {between}, both excluded" if is_open else between
    if low is not None:
        return f"{'more than' if is_open else 'at least'} {_say(low)}"
    return f"{'less than' if is_open else 'at most'} {_say(high)}"


def _say(value: object) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
