"""Writes `docs/reference/` from the code; a test fails when what is committed differs.

What code cannot say (the meaning of a key, an event, a route) stands in `docs/reference.toml`.
"""

import importlib
import inspect
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeGuard, Union, get_args, get_origin, get_type_hints

import click
import msgspec

from tidegate import errors, project
from tidegate.cli.main import COMMANDS, cli
from tidegate.project.section import BytesOrAll, SecondsOrEver
from tidegate.serve import record as told

DOCS = Path(__file__).parent
REFERENCE = DOCS / "reference"
SOURCE = "<!-- written by docs/generate.py: change the code or docs/reference.toml, then run `make docs` -->"
EXAMPLE = "\b\nExample:\n"


class Leaf(NamedTuple):
    """A command that does something, by the words that call it."""

    words: str
    command: click.Command


class Key(NamedTuple):
    """A key of tidegate.toml: its table's record, what it accepts, its default in the file's notation."""

    table: str
    name: str
    accepts: str
    default: str


def main() -> None:
    """Write every page whose text changed."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in render().items():
        path = REFERENCE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")


def render() -> dict[str, str]:
    """Every page of the reference, by file name."""
    words = load_words()
    return {
        "commands.md": _page("Commands", _commands()),
        "configuration.md": _page("tidegate.toml", _configuration(words["config"])),
        "events.md": _page("Ledger events", _events(words["event"])),
        "exit-codes.md": _page("Exit codes", _exit_codes(words["exit"])),
        "http.md": _page("HTTP", _routes(words)),
    }


def load_words() -> dict[str, dict[str, Any]]:
    """The hand-written meanings."""
    return tomllib.loads((DOCS / "reference.toml").read_text(encoding="utf-8"))


def leaves() -> list[Leaf]:
    """Every command without subcommands, in the order of `tidegate --help`."""
    return [leaf for name in COMMANDS for leaf in _below(f"tidegate {name}", _command(name))]


def settings() -> list[Key]:
    """Every key of tidegate.toml, rules of the gate and guards included."""
    return [key for table, record in tables().items() for key in _keys_of(table, record)]


def tables() -> dict[str, type[project.Section]]:
    """The record behind each table of tidegate.toml, in the order of the file."""
    found: dict[str, type[project.Section]] = {}
    for name, record in get_type_hints(project.Config).items():
        found[f"[{name}]"] = record
        found |= {f"[[{name}.{key}]]{_kind(nested)}": nested for key, nested in _nested(record)}
    return found


def _page(title: str, parts: Sequence[str]) -> str:
    return "\n\n".join([SOURCE, f"# {title}", *parts]) + "\n"


def _command(name: str) -> click.Command:
    command: click.Command = importlib.import_module(f"tidegate.cli.{COMMANDS[name][0]}").command
    return command


def _below(words: str, command: click.Command) -> Iterator[Leaf]:
    if not isinstance(command, click.Group):
        yield Leaf(words, command)
        return
    for name, child in command.commands.items():
        yield from _below(f"{words} {name}", child)


def _commands() -> list[str]:
    intro = "Every command takes `--help`; those that read a project find it at or above the current folder."
    parts = [intro, _help(cli)]
    for name in COMMANDS:
        parts += _section(f"tidegate {name}", _command(name), depth=2)
    return parts


def _section(words: str, command: click.Command, *, depth: int) -> list[str]:
    parts = [f"{'#' * depth} {words}", _help(command), _options(words, command)]
    children = command.commands if isinstance(command, click.Group) else {}
    below = [_section(f"{words} {name}", child, depth=depth + 1) for name, child in children.items()]
    return [part for part in (*parts, *(line for section in below for line in section)) if part]


def _help(command: click.Command) -> str:
    text, _, example = inspect.cleandoc(command.help or "").partition(EXAMPLE)
    block = f"\n\n```console\n{_prompted(inspect.cleandoc(example))}\n```" if example else ""
    return text.strip() + block


def _prompted(example: str) -> str:
    return "\n".join(f"$ {line.strip()}" for line in example.splitlines() if line.strip())


def _options(words: str, command: click.Command) -> str:
    usage = f"`{words} {' '.join(command.collect_usage_pieces(click.Context(command)))}`"
    rows = [
        _option(option) for option in command.params if isinstance(option, click.Option) and not option.hidden
    ]
    table = _table(("option", "meaning", "default"), rows) if rows else ""
    return f"{usage}\n\n{table}".strip()


def _option(option: click.Option) -> tuple[str, str, str]:
    names = ", ".join((*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag or option.count else f" {_takes(option)}"
    given = isinstance(option.default, str | int | float) and not option.is_flag
    return f"`{names}{takes}`", option.help or "", f"`{option.default}`" if given else ""


def _takes(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    return option.metavar or option.type.name.upper()


def _nested(record: type[project.Section]) -> list[tuple[str, type[project.Section]]]:
    """The records that are written as lists of tables below this one."""
    return [
        (name, kind)
        for name, hint in get_type_hints(record).items()
        for part in get_args(hint)
        for kind in (get_args(part) or (part,))
        if isinstance(kind, type) and issubclass(kind, project.Section)
    ]


def _kind(record: type[project.Section]) -> str:
    tag = record.__struct_config__.tag
    return f' kind = "{tag}"' if tag else ""


def _keys_of(table: str, record: type[project.Section]) -> list[Key]:
    hints = get_type_hints(record, include_extras=True)
    inside = {name for name, _ in _nested(record)}
    fields = [field for field in msgspec.structs.fields(record) if field.name not in inside]
    return [Key(table, field.name, _accepts(hints[field.name]), _default(field.default)) for field in fields]


def _default(value: object) -> str:
    if value is msgspec.NODEFAULT:
        return "required"
    written = msgspec.to_builtins(value, enc_hook=project.write_unit)
    return f"`{msgspec.json.encode(written).decode()}`"


NAMED = {
    project.Seconds: "duration",
    project.Share: "share",
    project.Bytes: "size",
    SecondsOrEver: 'duration, `""` for ever',
    BytesOrAll: 'size, `""` for any',
    project.Probability: "number above 0, below 1",
    project.Positive: "integer, at least 1",
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
}


def _accepts(hint: Any) -> str:
    """What a key accepts, in words."""
    if hint in NAMED:
        return NAMED[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f'`"{choice}"`' for choice in inner)
    if origin is tuple:
        return f"list of {_accepts(inner[0])}"
    if origin in (Union, UnionType):
        return " or ".join(_accepts(part) for part in inner)
    return f"{_accepts(inner[0])}{_bounds(hint.__metadata__[0])}"


def _bounds(meta: msgspec.Meta) -> str:
    limits = [("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"), ("pattern", "like")]
    found = [(words, getattr(meta, name)) for name, words in limits if getattr(meta, name) is not None]
    return ", " + ", ".join(f"{words} `{_escaped(value)}`" for words, value in found)


def _escaped(value: object) -> str:
    # `0` and `0.0` are one bound: which of the two a type holds depends on what was imported first
    return (f"{value:g}" if isinstance(value, float) else str(value)).replace("|", "\\|")


def _configuration(words: dict[str, Any]) -> list[str]:
    intro = (
        "A duration is written as `90s`, `10m`, `24h` or `7d`; a share as `5%` or `0.05`;\n"
        "a size as `500kB`, `20MB` or `1.5GB`.\n"
        "An unknown key is an error. `tidegate config show` prints every setting, the defaults included."
    )
    parts = [intro]
    for table, record in tables().items():
        parts += [f"## {table}", inspect.cleandoc(record.__doc__ or "")]
        rows = [_setting(key, words) for key in _keys_of(table, record)]
        parts += [_table(("key", "meaning", "accepts", "default"), rows)] if rows else []
    return parts


def _setting(key: Key, words: dict[str, Any]) -> tuple[str, str, str, str]:
    return f"`{key.name}`", words[_path(key)], key.accepts, key.default


def _path(key: Key) -> str:
    """`gate.rule.min.value` of the key `value` in `[[gate.rule]] kind = "min"`."""
    path = key.table.replace(' kind = "', ".").strip('[]"')
    return f"{path.replace(']]', '')}.{key.name}"


def _events(words: dict[str, Any]) -> list[str]:
    intro = (
        "`tidegate audit log` lists them, `tidegate audit verify` recomputes their chain.\n"
        "An event is number, time, kind, subject and body, with the SHA-256 of\n"
        "the canonical JSON of all that and of the hash before it."
    )
    rows = [(f"`{kind}`", row["subject"], row["body"], row["meaning"]) for kind, row in words.items()]
    return [intro, _table(("kind", "subject", "body", "written when"), rows)]


def _exit_codes(words: dict[str, Any]) -> list[str]:
    rows = [(f"`{code}`", *row) for code, row in words.items()]
    kinds = [_error(kind) for kind in vars(errors).values() if _is_error(kind)]
    intro = 'With `--json` an error is `{"error": {"kind", "where", "message", "hint"}}` on standard output.'
    return [_table(("code", "meaning"), rows), "## Errors", intro, _table(("kind", "code", "meaning"), kinds)]


def _is_error(kind: object) -> TypeGuard[type[errors.TidegateError]]:
    return inspect.isclass(kind) and issubclass(kind, errors.TidegateError)


def _error(kind: type[errors.TidegateError]) -> tuple[str, str, str]:
    return f"`{kind.kind}`", f"`{kind.exit_code}`", inspect.getdoc(kind) or ""


def _routes(words: dict[str, Any]) -> list[str]:
    routes = [(f"`{route}`", meaning) for route, meaning in words["route"].items()]
    headers = [(f"`{header}`", meaning) for header, meaning in words["header"].items()]
    statuses = [(f"`{status}`", meaning) for status, meaning in words["status"].items()]
    return [
        _table(("route", "meaning"), routes),
        "## Headers",
        _table(("header", "meaning"), headers),
        "## Statuses",
        _table(("status", "meaning"), statuses),
        "## gRPC",
        words["grpc"]["text"].strip(),
        "## Metrics",
        words["metrics"]["text"].strip(),
        _table(("metric", "kind", "labels", "meaning"), metrics()),
    ]


def metrics() -> list[tuple[str, str, str, str]]:
    """Every metric by the name that Prometheus knows it under."""
    histograms = [(name, "histogram", labels, text) for name, (text, labels, _) in told.HISTOGRAMS.items()]
    counters = [(f"{name}_total", "counter", labels, text) for name, (text, labels) in told.COUNTERS.items()]
    gauges = [(name, "gauge", (), text) for name, text in told.GAUGES.items()]
    return [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), text)
        for name, kind, labels, text in (*histograms, *counters, *gauges)
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(' '.join(str(cell).split()) for cell in line)} |" for line in lines)


if __name__ == "__main__":
    main()
