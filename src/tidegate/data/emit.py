"""YAML written as DVC writes it: new text byte for byte, and edits that keep a person's comments and order."""

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from tidegate.data.yaml import is_plain_text, parse_yaml
from tidegate.errors import UsageError

# where DVC folds a line
WIDTH = 80
# printable ASCII without `:` and `#`, beginning with no indicator and ending with no space
_PLAIN = re.compile(r"""[A-Za-z0-9_/.($+^;](?:[ !"$-9;-~]*[!"$-9;-~])?""")
_SAME = ((str,), (Mapping,), (list, tuple), (bool,))


def render_yaml(plain: dict[str, Any]) -> str:
    """The text of a new file; through ruamel.yaml where the short way is not sure of its bytes."""
    quick = None if has_alias(plain) else emit_mapping(plain, 0)
    return quick or dump_yaml(plain)


def dump_yaml(document: Any) -> str:
    """The text of a document by ruamel.yaml, with DVC's settings; comments of a loaded one come back."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    stream = StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def load_for_edit(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML text with its comments and layout; empty for an empty text.

    Raises UsageError at `name:line:column` for what is not a YAML mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    plain = parse_yaml(text, name)
    if plain is None:
        return {}
    if not isinstance(plain, dict):
        raise UsageError(name, f"a {type(plain).__name__} found, expected a mapping")
    try:
        document: dict[str, Any] = YAML().load(text)
    except YAMLError as error:
        raise UsageError(name, f"{str(error).splitlines()[0]}, expected YAML") from None
    return document


def apply_changes(new: Any, old: Any) -> None:
    """Make the loaded `old` equal to `new` in place, touching only what differs, as DVC does.

    What stays keeps its place and comments; new keys come last; a list of another length is replaced.
    """
    if isinstance(new, Mapping):
        for key, value in new.items():
            _change(old, key, value)
        for key in [key for key in old if key not in new]:
            del old[key]
    elif len(new) != len(old):
        old[:] = new
    else:
        for i, value in enumerate(new):
            _change(old, i, value)


def _change(old: Any, key: Any, value: Any) -> None:
    missing = isinstance(old, Mapping) and key not in old
    if not missing and isinstance(value, Mapping | list) and _is_alike(value, old[key]):
        apply_changes(value, old[key])
    elif missing or value != old[key]:
        old[key] = value


def _is_alike(one: Any, other: Any) -> bool:
    return any(isinstance(one, kind) and isinstance(other, kind) for kind in _SAME)


def has_alias(value: Any) -> bool:
    """Whether a list or mapping appears twice, which YAML writes as an anchor and an alias."""
    seen = [id(part) for part in _containers(value)]
    return len(seen) != len(set(seen))


def emit_mapping(mapping: dict[str, Any], indent: int) -> str | None:
    """Block YAML of plain one-line scalars; None as soon as one is not sure to be written so."""
    parts = []
    for key, value in mapping.items():
        head = f"{' ' * indent}{key}:"
        text = _emit(value, indent, column=len(head) + 1) if is_plain(key) and len(key) < WIDTH else None
        if text is None:
            return None
        parts.append(head + text)
    return "".join(parts)


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


def _emit(value: Any, indent: int, *, column: int) -> str | None:
    if isinstance(value, dict):
        body = emit_mapping(value, indent + 2) if value else None
        return None if body is None else f"\n{body}"
    if isinstance(value, list):
        body = _emit_list(value, indent) if value else None
        return None if body is None else f"\n{body}"
    text = _scalar(value)
    fits = text is not None and column + len(text) <= WIDTH
    return f" {text}\n" if fits else None


def _emit_list(items: list[Any], indent: int) -> str | None:
    parts = []
    for item in items:
        if isinstance(item, dict) and item:
            text = emit_mapping(item, indent + 2)
            text = text and f"{' ' * indent}- {text[indent + 2 :]}"
        else:
            scalar = None if isinstance(item, dict | list) else _emit(item, indent, column=indent + 2)
            text = scalar and f"{' ' * indent}-{scalar}"
        if not text:
            return None
        parts.append(text)
    return "".join(parts)


def _scalar(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value)
        return text if re.fullmatch(r"-?\d+\.\d+", text) else None
    return value if isinstance(value, str) and is_plain(value) else None


def is_plain(text: Any) -> bool:
    """Whether DVC writes a text on one line and without quotes, as far as this is sure."""
    return (
        isinstance(text, str)
        and _PLAIN.fullmatch(text) is not None
        and not text.startswith(("...", "---"))
        and is_plain_text(text)
    )
