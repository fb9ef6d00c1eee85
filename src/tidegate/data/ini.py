"""The INI dialect of DVC's config files: read with line numbers, edited line by line as DVC would write it."""

import re
from typing import NamedTuple

from tidegate.errors import UsageError

INDENT = "    "
_SECTION = re.compile(r"""^\s*\[\s*("[^"]*"|'[^']*'|[^'"\[\]][^\]]*?)\s*\]\s*(?:#.*)?$""")
_ENTRY = re.compile(r"""^\s*("[^"]*"|'[^']*'|[^'"=\s\[][^=]*?)\s*=\s*(.*)$""")
# the same quotes at both ends, three or one; what is not quoted ends at a `#`
_VALUE = re.compile(
    r'''^(?:"""(?P<a>.*?)"""|\'\'\'(?P<b>.*?)\'\'\'|"(?P<c>.*?)"|'(?P<d>.*?)'|(?P<e>[^'"#].*?)?)\s*(?:\#.*)?$'''
)
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^'",#]+?)\s*(?:,|$|(?=\#))""")
_LIST = re.compile(r"""^(?:\s*(?:"[^"]*"|'[^']*'|[^'",#]+?)\s*,?)+\s*(?:\#.*)?$""")
_QUOTES = frozenset("'\"")


class Entry(NamedTuple):
    """`key = value` on a line, counted from 1; the key is lower case, as DVC compares it."""

    key: str
    value: str
    line: int


class Section(NamedTuple):
    """`[name]` on a line, counted from 1, and what stands below it."""

    name: str
    line: int
    entries: list[Entry]


def read_ini(text: str, name: str) -> list[Section]:
    """The sections of a file; UsageError at `name:line` for what DVC would not read either."""
    sections: list[Section] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{name}:{number}"
        header = _SECTION.match(line)
        if header:
            sections.append(Section(_new(_unquote(header[1]).lower(), sections, where), number, []))
            continue
        entry = _ENTRY.match(line)
        if not entry or not sections:
            expected = "`key = value`" if sections else "a `[section]` above"
            raise UsageError(where, f"`{_shown(line)}` found, expected {expected}")
        key = _new(_unquote(entry[1]).lower(), sections[-1].entries, where)
        sections[-1].entries.append(Entry(key, _value(entry[2], where), number))
    return sections


def set_entry(text: str, section: str, key: str, *, value: str) -> str:
    """The text with this one value; a new section takes the place that DVC would give it."""
    sections = read_ini(text, "config")
    lines = text.splitlines() if text.strip() else []
    new = f"{INDENT}{quote(key)} = {quote(value, may_triple=True)}"
    at = next((one for one in sections if one.name == section), None)
    if at is None:
        place = _place_of_new(sections, section, len(lines))
        lines[place:place] = [f"[{quote(section)}]", new]
        return _joined(lines, text)
    old = next((entry for entry in at.entries if entry.key == key), None)
    if old:
        lines[old.line - 1] = new
    else:
        lines.insert(_end(at), new)
    return _joined(lines, text)


def unset_entry(text: str, section: str, key: str) -> str:
    """The text without this value; a plain section that is empty then goes, too."""
    at = next((one for one in read_ini(text, "config") if one.name == section), None)
    old = next((entry for entry in at.entries if entry.key == key), None) if at else None
    if not at or not old:
        return text
    if len(at.entries) == 1 and not is_named(section):
        return unset_section(text, section)
    lines = text.splitlines()
    del lines[old.line - 1]
    return _joined(lines, text)


def unset_section(text: str, section: str) -> str:
    """The text without a section and everything in it."""
    at = next((one for one in read_ini(text, "config") if one.name == section), None)
    if not at:
        return text
    lines = text.splitlines()
    del lines[at.line - 1 : _end(at)]
    return _joined(lines, text)


def is_named(section: str) -> bool:
    """Whether a section is of the form `remote "name"`, of which there are many."""
    return section.endswith('"')


def quote(value: str, *, may_triple: bool = False) -> str:
    """A name or value as DVC writes it: bare, where its own reader takes it back unchanged."""
    if not value:
        return '""'
    both = "'" in value and '"' in value
    if "\n" in value or (both and not may_triple) or (both and "'''" in value):
        raise UsageError("config", "a value with line breaks or with both kinds of quotes, expected one line")
    if both:
        return f"'''{value}'''"
    bare = (
        value == value.strip()
        and not {value[0], value[-1]} & _QUOTES
        and "," not in value
        and "#" not in value
    )
    if bare:
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _new(name: str, known: list[Section] | list[Entry], where: str) -> str:
    if any(one[0] == name for one in known):
        raise UsageError(where, f"`{name}` stands here a second time, expected it once")
    return name


def _value(text: str, where: str) -> str:
    match = _VALUE.match(text)
    if match:
        return next((part for part in match.groups() if part is not None), "")
    if _LIST.match(text):
        return ", ".join(_unquote(item) for item in _ITEM.findall(text))
    raise UsageError(where, "a value with unbalanced quotes, expected it on one line")


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _shown(line: str) -> str:
    """Only the start of a line that makes no sense: it may hold a password."""
    return line.strip()[:12] + "..." * (len(line.strip()) > 12)


def _place_of_new(sections: list[Section], name: str, end: int) -> int:
    """DVC writes plain sections first, then remotes, machines and databases."""
    kind = _rank(name)
    before = [one for one in sections if _rank(one.name) <= kind]
    after = [one for one in sections if _rank(one.name) > kind]
    if before:
        return _end(before[-1])
    return after[0].line - 1 if after else end


def _rank(section: str) -> int:
    kind = section.partition(" ")[0] if is_named(section) else ""
    return ("", "remote", "machine", "db").index(kind)


def _end(section: Section) -> int:
    return section.entries[-1].line if section.entries else section.line


def _joined(lines: list[str], before: str) -> str:
    newline = "\r\n" if "\r\n" in before else "\n"
    return newline.join(lines) + newline
