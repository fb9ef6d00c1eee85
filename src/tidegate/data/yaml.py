"""YAML 1.2 as DVC reads it, through libyaml; every error names file, line and column."""

import json
import re
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.data.params import load_python_params
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    import yaml

# the implicit types of YAML 1.2 as ruamel.yaml, and so DVC, resolves them: tag, pattern, first characters
_RESOLVERS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    (
        "float",
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("int", r"^(?:[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+)$", "-+0123456789"),
    ("merge", r"^<<$", "<"),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    (
        "timestamp",
        r"^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?"
        r"(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$",
        "0123456789",
    ),
)
_INT_BASES = {"0b": 2, "0o": 8, "0x": 16}


def parse_yaml(text: str, name: str) -> Any:
    """The value of one YAML document; UsageError at `name:line:column` for what is not YAML."""
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 -- a subclass of CSafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(_place(name, mark), f"{error.problem}, expected YAML") from None
    except yaml.YAMLError as error:
        raise UsageError(name, f"{str(error).splitlines()[0]}, expected YAML") from None


def locate(text: str, path: Sequence[str | int], name: str) -> str:
    """`name:line:column` of the key or list item at `path`, or of its nearest existing parent."""
    import yaml

    node = yaml.compose(text, Loader=_loader())
    mark = node.start_mark if node else None
    for step in path if node else ():
        found = _child(node, step)
        if found is None:
            break
        node, mark = found
    return _place(name, mark)


def read_document(path: Path, name: str, memory: StatCache) -> Any:
    """The value in a YAML, JSON, TOML or Python file (by suffix; else YAML), parsed once per change.

    Raises NotFoundError without the file and UsageError, naming line and column, for what is wrong in it.
    """
    try:
        key = memory.key_of(path)
        known = memory.get("document", name, key)
        if known is not None:
            return known
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(name, "no such file") from None
    except IsADirectoryError:
        raise UsageError(name, "is a directory, expected a file") from None
    except UnicodeDecodeError as error:
        raise UsageError(name, f"byte {error.start} is not UTF-8, expected text") from None
    value = parse_document(text, name)
    if _survives_json(value) and (name.endswith("dvc.yaml") or not _has_alias(value)):
        memory.put("document", name, key=key, value=value)
    return value


def parse_document(text: str, name: str) -> Any:
    """The value in the text of a YAML, JSON, TOML or Python file, told apart by the suffix of its name."""
    return _PARSERS.get(name[name.rfind(".") :].lower() if "." in name else "", parse_yaml)(text, name)


def is_plain_text(text: str) -> bool:
    """Whether a plain YAML 1.2 scalar of this text reads back as the same string."""
    return not any(text[:1] in first and pattern.match(text) for pattern, first in _patterns())


def _survives_json(value: Any) -> bool:
    """Dates, NaN and keys that are not text would come back different."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _has_alias(value: Any) -> bool:
    """Whether a mapping or list appears twice; DVC writes such params to dvc.lock with an anchor and an alias."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict | list):
            if id(part) in seen:
                return True
            seen.add(id(part))
            waiting += part.values() if isinstance(part, dict) else part
    return False


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), first) for _, pattern, first in _RESOLVERS]


@cache
def _loader() -> "type[yaml.CSafeLoader]":
    """Built on use, because importing yaml costs a fifth of the time a no-change run may take."""
    import yaml

    class Loader(yaml.CSafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- yaml's own interface

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            _forbid_duplicates(node)
            return super().construct_mapping(node, deep=deep)

    for tag, pattern, first in _RESOLVERS:
        letters = ["" if letter == "\0" else letter for letter in first]
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), letters)
    Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
    return Loader


def _forbid_duplicates(node: "yaml.MappingNode") -> None:
    import yaml

    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
            continue
        if (key.tag, key.value) in seen:
            problem = f"key `{key.value}` appears twice in one mapping"
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        seen.add((key.tag, key.value))


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    sign = -1 if text[:1] == "-" else 1
    digits = text.lstrip("+-")
    base = _INT_BASES.get(digits[:2], 10)
    return sign * int(digits[2:] if base != 10 else digits, base)


def _child(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """The node below `node` and the mark a person should look at: the key's, or the item's."""
    if isinstance(step, int):
        items = node.value if node.id == "sequence" else []
        return (items[step], items[step].start_mark) if step < len(items) else None
    pairs = node.value if node.id == "mapping" else []
    return next(((value, key.start_mark) for key, value in pairs if key.value == step), None)


def _place(name: str, mark: Any) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"{error.msg[:1].lower()}{error.msg[1:]}, expected JSON"
        raise UsageError(f"{name}:{error.lineno}:{error.colno}", problem) from None


def _parse_toml(text: str, name: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        place, problem = (f":{match[2]}:{match[3]}", match[1]) if match else ("", str(error))
        raise UsageError(f"{name}{place}", f"{problem[:1].lower()}{problem[1:]}, expected TOML") from None


_PARSERS = {".json": _parse_json, ".toml": _parse_toml, ".py": load_python_params}
