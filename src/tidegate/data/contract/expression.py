"""Rules between columns: a small part of SQL's boolean expressions, for tables and for single rows alike.

Understood are comparisons, `and or not`, `in`, `between`, `is null`, `+ - * /`, `abs length coalesce floor
ceil`, numbers, 'text', `true false null` and the names of columns. What is parsed is written again for the
database with every name and value quoted, so an expression cannot do more than compare. Null is unknown, as
in SQL, and dividing by zero gives null.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.data.contract.quote import quote_name, quote_value
from tidegate.data.contract.rules import Column
from tidegate.data.contract.terms import COMPARE, Term, calculate, call, compare, join, minus, negate
from tidegate.errors import UsageError, did_you_mean

TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")+\")"
    r"|(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|<>|!=|[-+*/<>=(),]))"
)
WORDS = {"and", "or", "not", "in", "between", "is", "null", "true", "false"}


class Token(NamedTuple):
    """A word of an expression: what sort it is, its text, its position."""

    sort: str
    text: str
    at: int


def parse_expression(text: str, columns: Sequence[Column], names: Mapping[str, str] | None = None) -> Term:
    """The expression over these columns; `names` maps a column to the SQL of its value, its own name if not.

    Raises UsageError, naming the position, for what is not understood, an unknown column, or kinds that
    cannot be compared.
    """
    words = _Words(_tokens(text))
    try:
        term = _Parser(words, columns, {} if names is None else names).either()
    except RecursionError:
        raise UsageError("expression", "nested too deep, expected a short rule") from None
    if words.token.sort != "end":
        raise words.wrong("expected `and`, `or` or the end")
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


class _Words:
    """Holds the position in the words of one expression."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def wrong(self, message: str) -> UsageError:
        where = f"at `{self.token.text}`" if self.token.sort != "end" else "at its end"
        return UsageError(f"expression {where}", message)

    def next(self) -> Token:
        token = self.token
        self._at += token.sort != "end"
        return token

    def take(self, text: str) -> bool:
        found = self.token.text == text and self.token.sort in ("key", "sign")
        self._at += found
        return found

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.wrong(f"expected `{text}`")

    def back(self, token: Token) -> None:
        """Stand before this word, the last one read, again."""
        self._at -= token.sort != "end"


class _Parser:
    """Reads the words of one expression; each method reads what binds tighter than the last."""

    def __init__(self, words: _Words, columns: Sequence[Column], names: Mapping[str, str]) -> None:
        self._words = words
        self._kinds = {column.name: column.kind for column in columns}
        self._names = names

    def either(self) -> Term:
        term = self._both()
        while self._words.take("or"):
            term = join("or", term, self._both())
        return term

    def _both(self) -> Term:
        term = self._negated()
        while self._words.take("and"):
            term = join("and", term, self._negated())
        return term

    def _negated(self) -> Term:
        if not self._words.take("not"):
            return self._comparison()
        return negate(self._negated())

    def _comparison(self) -> Term:
        left = self._sum()
        if self._words.token.text in COMPARE and self._words.token.sort == "sign":
            sign = self._words.next().text
            return compare(sign, left, self._sum())
        if self._words.take("is"):
            return self._is_null(left)
        is_not = self._words.take("not")
        if self._words.take("between"):
            found = self._between(left)
        elif self._words.take("in"):
            found = self._within(left)
        elif is_not:
            raise self._words.wrong("expected `in` or `between` after `not`")
        else:
            return left
        return negate(found) if is_not else found

    def _between(self, left: Term) -> Term:
        low = compare(">=", left, self._sum())
        if not self._words.take("and"):
            raise self._words.wrong("expected `and` in `between`")
        return join("and", low, compare("<=", left, self._sum()))

    def _within(self, left: Term) -> Term:
        self._words.expect("(")
        found = compare("=", left, self._sum())
        while self._words.take(","):
            found = join("or", found, compare("=", left, self._sum()))
        self._words.expect(")")
        return found

    def _is_null(self, left: Term) -> Term:
        wanted = not self._words.take("not")
        if not self._words.take("null"):
            raise self._words.wrong("expected `null` after `is`")
        word = "is null" if wanted else "is not null"
        return Term(f"({left.sql} {word})", lambda row: (left.run(row) is None) == wanted, "boolean")

    def _sum(self) -> Term:
        term = self._product()
        while self._words.token.text in ("+", "-"):
            term = calculate(self._words.next().text, term, self._product())
        return term

    def _product(self) -> Term:
        term = self._signed()
        while self._words.token.text in ("*", "/"):
            term = calculate(self._words.next().text, term, self._signed())
        return term

    def _signed(self) -> Term:
        if not self._words.take("-"):
            return self._primary()
        return minus(self._signed())

    def _primary(self) -> Term:
        token = self._words.next()
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
            self._words.expect(")")
            return term
        if token.sort in ("word", "quoted"):
            return self._named(token)
        self._words.back(token)
        raise self._words.wrong("expected a column, a number or 'text'")

    def _named(self, token: Token) -> Term:
        if token.sort == "word" and self._words.take("("):
            return self._function(token.text.lower())
        name = token.text if token.sort == "word" else token.text[1:-1].replace('""', '"')
        if name not in self._kinds:
            raise UsageError("expression", f"unknown column `{name}`{did_you_mean(name, self._kinds)}")
        kind = "number" if self._kinds[name] == "integer" else self._kinds[name]
        sql = self._names.get(name, quote_name(name))
        return Term(f"{sql}::DOUBLE" if kind == "number" else sql, lambda row: row.get(name), kind)

    def _function(self, name: str) -> Term:
        terms = [self._sum()]
        while self._words.take(","):
            terms.append(self._sum())
        self._words.expect(")")
        return call(name, terms)
