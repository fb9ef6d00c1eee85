"""Parameter files: Python files read without running them, and values looked up by dotted key."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.errors import UsageError

if TYPE_CHECKING:
    import ast

_GLOB = re.compile(r"[*?\[]")


class Absent(NamedTuple):
    """The value of a key or path that is not there; unlike None, which a file can hold."""


ABSENT = Absent()


def look_up(values: Any, key: str) -> Any:
    """The value at `a.b.0` in nested mappings and lists as DVC finds it, or ABSENT.

    A step may be a pattern such as `lr_*`; ABSENT too when several values match, for none is meant.
    """
    found = list(_matches(values, key.lstrip(".").split(".")))
    return found[0] if len(found) == 1 else ABSENT


def load_python_params(text: str, name: str) -> dict[str, Any]:
    """The constants that a Python file assigns, classes as mappings; nothing of it is ever executed.

    What is not a literal is left out, as DVC does; tuples and sets become lists, as they are recorded.
    Raises UsageError at `name:line:column` for what is not Python.
    """
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _constants(ast.parse(text).body)
    except (SyntaxError, ValueError) as error:
        raise _not_python(error, name) from None


def _not_python(error: SyntaxError | ValueError, name: str) -> UsageError:
    """A NUL byte has no line, and no SyntaxError before Python 3.11.4."""
    line, column = getattr(error, "lineno", None), getattr(error, "offset", None)
    message = getattr(error, "msg", str(error))
    return UsageError(f"{name}:{line}:{column}" if line else name, f"{message}, expected Python")


def _matches(values: Any, steps: list[str]) -> Iterator[Any]:
    step, *rest = steps
    for child in _children(values, step):
        if rest:
            yield from _matches(child, rest)
        else:
            yield child


def _children(values: Any, step: str) -> list[Any]:
    if isinstance(values, list):
        return _items(values, step)
    if not isinstance(values, Mapping):
        return []
    if step in values and not _GLOB.search(step):
        return [values[step]]
    return _fitting(values.items(), step)


def _items(values: list[Any], step: str) -> list[Any]:
    """Negative positions count from the end."""
    try:
        index = int(step)
    except ValueError:
        return _fitting(enumerate(values), step)
    return [values[index]] if -len(values) <= index < len(values) else []


def _fitting(pairs: Any, step: str) -> list[Any]:
    from fnmatch import fnmatchcase

    return [child for name, child in pairs if isinstance(name, str | int) and fnmatchcase(str(name), step)]


def _constants(body: "list[ast.stmt]", *, only_self: bool = False) -> dict[str, Any]:
    import ast

    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            found.update(_assigned(node, only_self=only_self))
        elif isinstance(node, ast.ClassDef):
            found[node.name] = _constants(node.body)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found.update(_constants(node.body, only_self=True))
    return found


def _assigned(node: "ast.Assign | ast.AnnAssign", *, only_self: bool) -> dict[str, Any]:
    """The one name and value of an assignment; empty for any other form."""
    import ast

    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    name = _name(targets[0], only_self=only_self) if len(targets) == 1 else ""
    if not name or node.value is None:
        return {}
    try:
        return {name: _recordable(ast.literal_eval(node.value))}
    except (ValueError, TypeError):
        return {}


def _name(target: "ast.expr", *, only_self: bool) -> str:
    import ast

    if isinstance(target, ast.Name) and not only_self:
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        return target.attr
    return ""


def _recordable(value: Any) -> Any:
    """As a file can hold it; ValueError for bytes, complex numbers and `...`, which none can."""
    if isinstance(value, dict):
        return {key: _recordable(part) for key, part in value.items()}
    if isinstance(value, set):
        return [_recordable(part) for part in sorted(value, key=lambda part: (str(type(part)), repr(part)))]
    if isinstance(value, list | tuple):
        return [_recordable(part) for part in value]
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} cannot be recorded")
    return value
