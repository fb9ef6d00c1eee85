"""Which outs were put in place, with what content: what is no longer tracked can then give way, and only that.

Losing the note leaves files behind that nobody tracks any more; it never removes one.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tidegate.store.layout import Layout

# that many lines cost nothing
_FEW = 100


def read_placed(root: Path) -> dict[str, str]:
    """The md5 of each out that was put in place, by its path from the root."""
    return _replay(_lines(root))


def note_placed(root: Path, md5s: Mapping[str, str], gone: Iterable[str] = ()) -> None:
    """Add these outs, and forget those that are gone."""
    lines = _lines(root)
    before = _replay(lines)
    change: dict[str, str | None] = {at: md5 for at, md5 in md5s.items() if before.get(at) != md5}
    change |= {at: None for at in gone if at in before or at in change}
    if not change:
        return
    if len(lines) < 2 * len(before) + _FEW:
        _append(_path(root), change)
    else:
        from tidegate.store.files import replace

        # no fsync, because losing it does no harm
        replace(_path(root), json.dumps(_replay([before, change])).encode())


def _append(path: Path, change: Mapping[str, str | None]) -> None:
    """A line of its own, even after one that was torn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(f"\n{json.dumps(change)}".encode())


def _replay(lines: Iterable[Mapping[str, str | None]]) -> dict[str, str]:
    noted: dict[str, str | None] = {}
    for line in lines:
        noted |= line
    return {at: md5 for at, md5 in noted.items() if md5 is not None}


def _lines(root: Path) -> list[dict[str, str | None]]:
    """What was noted, each line on top of those before; None stands for what went."""
    try:
        texts = _path(root).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    whole = _parsed(b"[%s]" % b",".join(filter(None, texts)))
    lines = whole if isinstance(whole, list) else [_parsed(text) for text in texts]
    return [line for line in lines if isinstance(line, dict)]


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _path(root: Path) -> Path:
    return Layout(root).state / "cache" / "placed.json"
