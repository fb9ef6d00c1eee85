"""Rules between columns: a small part of SQL's boolean expressions, for tables and for single rows alike.

Understood are comparisons, `and or not`, `in`, `between`, `is null`, `+ - * /`, `abs length coalesce floor
ceil`, numbers, 'text', `true false null` and the names of columns. What is parsed is written again for the
database with every name and value quoted, so an expression cannot do more than compare. Null is unknown, as
in SQL, and dividing by zero gives null.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.data.contract.rules import Column
from tidegate.errors import UsageError, did_you_mean

Run = Callable[[Mapping[str, Any]], Any]

TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")+\")"
    r"|(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|<>|!=|[-+*/<>=(),]))"
)
WORDS = {"and", "or", "not", "in", "between", "is", "null", "true", "false"}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
FUNCTIONS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "abs": ("number", "number", abs),
    "floor": ("number", "number", math.floor),
    "ceil": ("number", "number", math.ceil),
    "length": ("string", "number", len),
}


class Term(NamedTuple):
    """A parsed expression: SQL for a table, a function of one row, the kind of its value."""

    sql: str
    run: Run
    kind: str


class Token(NamedTuple):
    """A word of an expression: what sort it is, its text, its position."""

    sort: str
    text: str
    at: int


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


def parse_expression(text: str, columns: Sequence[Column], names: Mapping[str, str] | None = None) -> Term:
    """The expression over these columns; `names` maps a column to the SQL of its value, its own name if not.

    Raises UsageError, naming the position, for what is not understood, an unknown column, or kinds that
    cannot be compared.
    """
    parser = _Parser(_tokens(text), columns, {} if names is None else names)
    try:
        term = parser.either()
    except RecursionError:
        raise UsageError("expression", "nested too deep, expected a short rule") from None
    if parser.token.sort != "end":
        raise parser.wrong("expected `and`, `or` or the end")
    if term.kind not in ("boolean", "null"):
        raise UsageError(f"expression `{text}`", f"is a {term.kind}, expected true or false")
    return term


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise UsageError(f"expression `{text}`", f"`{text[at:].strip()[:12]}` is not understood")
        word = match[match.lastgroup]
        is_word = match.lastgroup == "word" and word.lower() in WORDS
        found.append(Token("key" if is_word else match.lastgroup, word.lower() if is_word else word, at))
        at = match.end()
    return [*found, Token("end", "", at)]


class _Parser:
    """Holds the position in the words of one expression; each method reads what binds tighter than the last."""

    def __init__(self, tokens: Sequence[Token], columns: Sequence[Column], names: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._kinds = {column.name: column.kind for column in columns}
        self._names = names
        self._at = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def wrong(self, message: str) -> UsageError:
        where = f"at `{self.token.text}`" if self.token.sort != "end" else "at its end"
        return UsageError(f"expression {where}", message)

    def either(self) -> Term:
        term = self._both()
        while self._take("or"):
            term = self._join("or", term, self._both())
        return term

    def _both(self) -> Term:
        term = self._negated()
        while self._take("and"):
            term = self._join("and", term, self._negated())
        return term

    def _negated(self) -> Term:
        if not self._take("not"):
            return self._comparison()
        term = self._of_kind(self._negated(), "boolean")
        return Term(f"(not {term.sql})", lambda row: _not(term.run(row)), "boolean")

    def _comparison(self) -> Term:
        left = self._sum()
        if self.token.text in COMPARE and self.token.sort == "sign":
            sign = self._next().text
            return self._compare(sign, left, self._sum())
        if self._take("is"):
            return self._is_null(left)
        is_not = self._take("not")
        if self._take("between"):
            found = self._between(left)
        elif self._take("in"):
            found = self._within(left)
        elif is_not:
            raise self.wrong("expected `in` or `between` after `not`")
        else:
            return left
        return Term(f"(not {found.sql})", lambda row: _not(found.run(row)), "boolean") if is_not else found

    def _between(self, left: Term) -> Term:
        low = self._compare(">=", left, self._sum())
        if not self._take("and"):
            raise self.wrong("expected `and` in `between`")
        return self._join("and", low, self._compare("<=", left, self._sum()))

    def _within(self, left: Term) -> Term:
        self._expect("(")
        found = self._compare("=", left, self._sum())
        while self._take(","):
            found = self._join("or", found, self._compare("=", left, self._sum()))
        self._expect(")")
        return found

    def _is_null(self, left: Term) -> Term:
        wanted = not self._take("not")
        if not self._take("null"):
            raise self.wrong("expected `null` after `is`")
        word = "is null" if wanted else "is not null"
        return Term(f"({left.sql} {word})", lambda row: (left.run(row) is None) == wanted, "boolean")

    def _sum(self) -> Term:
        term = self._product()
        while self.token.text in ("+", "-"):
            term = self._calculate(self._next().text, term, self._product())
        return term

    def _product(self) -> Term:
        term = self._signed()
        while self.token.text in ("*", "/"):
            term = self._calculate(self._next().text, term, self._signed())
        return term

    def _signed(self) -> Term:
        if not self._take("-"):
            return self._primary()
        term = self._of_kind(self._signed(), "number")
        return Term(f"(- {term.sql})", lambda row: _known(operator.neg, term.run(row)), "number")

    def _primary(self) -> Term:
        token = self._next()
        if token.sort == "number":
            number = float(token.text)
            return Term(quote_value(number), lambda _row: number, "number")
        if token.sort == "text":
            text = token.text[1:-1].replace("''", "'")
            return Term(quote_value(text), lambda _row: text, "string")
        if token.text in ("true", "false", "null") and token.sort == "key":
            value = {"true": True, "false": False}.get(token.text)
            return Term(token.text, lambda _row: value, "null" if value is None else "boolean")
        if token.text == "(" and token.sort == "sign":
            term = self.either()
            self._expect(")")
            return term
        if token.sort in ("word", "quoted"):
            return self._named(token)
        self._at -= token.sort != "end"
        raise self.wrong("expected a column, a number or 'text'")

    def _named(self, token: Token) -> Term:
        if token.sort == "word" and self._take("("):
            return self._function(token.text.lower())
        name = token.text if token.sort == "word" else token.text[1:-1].replace('""', '"')
        if name not in self._kinds:
            raise UsageError("expression", f"unknown column `{name}`{did_you_mean(name, self._kinds)}")
        kind = "number" if self._kinds[name] == "integer" else self._kinds[name]
        sql = self._names.get(name, quote_name(name))
        return Term(f"{sql}::DOUBLE" if kind == "number" else sql, lambda row: row.get(name), kind)

    def _function(self, name: str) -> Term:
        terms = [self._sum()]
        while self._take(","):
            terms.append(self._sum())
        self._expect(")")
        if name == "coalesce":
            return self._coalesce(terms)
        if name not in FUNCTIONS or len(terms) != 1:
            known = [*FUNCTIONS, "coalesce"]
            raise UsageError("expression", f"unknown function `{name}`{did_you_mean(name, known)}")
        takes, gives, function = FUNCTIONS[name]
        term = self._of_kind(terms[0], takes)
        return Term(f"{name}({term.sql})", lambda row: _known(function, term.run(row)), gives)

    def _coalesce(self, terms: Sequence[Term]) -> Term:
        kinds = {term.kind for term in terms} - {"null"}
        if len(kinds) > 1:
            raise self.wrong(f"expected one kind in `coalesce`, found {' and '.join(sorted(kinds))}")
        sql = ", ".join(term.sql for term in terms)
        first = tuple(term.run for term in terms)
        found = next(iter(kinds), "null")
        return Term(
            f"coalesce({sql})",
            lambda row: next((v for run in first if (v := run(row)) is not None), None),
            found,
        )

    def _compare(self, sign: str, left: Term, right: Term) -> Term:
        if left.kind != right.kind and "null" not in (left.kind, right.kind):
            raise self.wrong(f"a {left.kind} cannot be compared with a {right.kind}")
        test, one, two = COMPARE[sign], left.run, right.run
        return Term(
            f"({left.sql} {sign} {right.sql})", lambda row: _known(test, one(row), two(row)), "boolean"
        )

    def _calculate(self, sign: str, left: Term, right: Term) -> Term:
        one, two = self._of_kind(left, "number"), self._of_kind(right, "number")
        divisor = f"nullif({two.sql}, 0)" if sign == "/" else two.sql
        act = ARITHMETIC[sign]
        return Term(
            f"({one.sql} {sign} {divisor})",
            lambda row: _calculated(act, one.run(row), two.run(row)),
            "number",
        )

    def _join(self, word: str, left: Term, right: Term) -> Term:
        one, two = self._of_kind(left, "boolean"), self._of_kind(right, "boolean")
        join = _and if word == "and" else _or
        return Term(f"({one.sql} {word} {two.sql})", lambda row: join(one.run(row), two.run(row)), "boolean")

    def _of_kind(self, term: Term, kind: str) -> Term:
        if term.kind not in (kind, "null"):
            raise self.wrong(f"found a {term.kind} before it, expected a {kind}")
        return term

    def _next(self) -> Token:
        token = self.token
        self._at += token.sort != "end"
        return token

    def _take(self, text: str) -> bool:
        found = self.token.text == text and self.token.sort in ("key", "sign")
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self.wrong(f"expected `{text}`")


def _known(function: Callable[..., Any], *values: Any) -> Any:
    return None if None in values else function(*values)


def _calculated(function: Callable[[float, float], float], one: Any, two: Any) -> float | None:
    if one is None or two is None:
        return None
    try:
        return function(float(one), float(two))
    except ZeroDivisionError:
        return None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _and(one: bool | None, two: bool | None) -> bool | None:
    if one is False or two is False:
        return False
    return None if one is None or two is None else True


def _or(one: bool | None, two: bool | None) -> bool | None:
    if one is True or two is True:
        return True
    return None if one is None or two is None else False
