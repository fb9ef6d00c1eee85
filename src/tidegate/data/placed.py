"""Which outs were put in place, with what content: what is no longer tracked can then give way, and only that.

Losing the note leaves files behind that nobody tracks any more; it never removes one.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tidegate.store.layout import Layout


def read_placed(root: Path) -> dict[str, str]:
    """The md5 of each out that was put in place, by its path from the root."""
    try:
        noted = json.loads(_path(root).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(at): str(md5) for at, md5 in noted.items()} if isinstance(noted, dict) else {}


def note_placed(root: Path, md5s: Mapping[str, str], gone: Iterable[str] = ()) -> None:
    """Add these outs, and forget those that are gone."""
    before = read_placed(root)
    after = {at: md5 for at, md5 in {**before, **md5s}.items() if at not in set(gone)}
    if after == before:
        return
    path = _path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    # whole or not at all; no fsync, because losing it does no harm
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(after))
    fresh.replace(path)


def _path(root: Path) -> Path:
    return Layout(root).state / "cache" / "placed.json"
