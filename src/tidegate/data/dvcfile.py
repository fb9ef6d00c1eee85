"""`.dvc` files: data under version control, read once per change and written byte for byte as DVC does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidegate.data.dvcrecord import DvcFile, as_plain
from tidegate.data.dvcschema import FaultError, from_plain
from tidegate.data.emit import apply_changes, dump_yaml, load_for_edit, render_yaml
from tidegate.data.statcache import StatCache
from tidegate.data.yaml import locate, parse_yaml, read_document
from tidegate.errors import NotFoundError, UsageError

SUFFIX = ".dvc"

# what says nothing about content: left out of the file's own md5
_ANNOTATIONS = frozenset(
    {"desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles"}
)


def read_dvcfile(root: Path, at: str, memory: StatCache) -> DvcFile:
    """The `.dvc` file at `at` below `root`, parsed once per change.

    Raises NotFoundError without the file and UsageError, naming line and column, for what is wrong in it.
    """
    path = root / at
    if path.is_dir():
        raise NotFoundError(at, "a directory, expected a .dvc file")
    document = read_document(path, at, memory)
    return check_dvcfile(document, at, lambda: path.read_text(encoding="utf-8"))


def parse_dvcfile(text: str, name: str) -> DvcFile:
    """The record in the text of a `.dvc` file; UsageError at `name:line:column` for what is wrong in it."""
    return check_dvcfile(parse_yaml(text, name), name, lambda: text)


def render_dvcfile(record: DvcFile) -> str:
    """The text of a new file with this record, byte for byte as DVC writes it."""
    return render_yaml(as_plain(record))


def update_dvcfile(text: str, record: DvcFile) -> str:
    """The text of an existing file changed to this record; comments and order stay as with DVC."""
    plain = as_plain(record)
    known = parse_yaml(text, "") if text.strip() else {}
    if _shape(known) == _shape(plain) and text == render_yaml(known):
        return render_yaml(plain)
    document = load_for_edit(text, "")
    apply_changes(plain, document)
    return dump_yaml(document)


def with_content_md5(record: DvcFile) -> DvcFile:
    """The record with the `md5` that an import carries to notice edits by hand."""
    return record._replace(md5=content_md5(as_plain(record)))


def content_md5(plain: Mapping[str, Any]) -> str:
    """DVC's digest of a `.dvc` file in plain form: of all that decides what the data are."""
    import json

    from tidegate.data.hash import md5_bytes

    chosen = {key: value for key, value in plain.items() if key not in ("md5", "meta", "desc")}
    if chosen.get("wdir") == ".":
        del chosen["wdir"]
    return md5_bytes(json.dumps(_significant(chosen), sort_keys=True).encode())


def check_dvcfile(document: Any, name: str, text: Callable[[], str]) -> DvcFile:
    """The record in a parsed `.dvc` file; `text` is asked for only to locate what is wrong in it."""
    try:
        return from_plain(document)
    except FaultError as fault:
        where = locate(text(), fault.place, name)
        raise UsageError(where, fault.message, hint=fault.hint) from None


def _significant(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _significant(part) for key, part in value.items() if key not in _ANNOTATIONS}
    return [_significant(part) for part in value] if isinstance(value, list) else value


def _shape(value: Any) -> Any:
    """Keys, in order, and lengths: where they agree an update in place equals a new rendering."""
    if isinstance(value, dict):
        return tuple((key, _shape(part)) for key, part in value.items())
    return tuple(_shape(part) for part in value) if isinstance(value, list) else None
