"""The answer to "did anything change?" without reading anything: a note of all that a clean look depended on.

The note lists the keys of files, directories and trees, and what must not be there. While all of them hold,
nothing can have changed. It is read before everything else, so this module imports next to nothing.
"""

import os

from tidegate import __version__
from tidegate.store.root import project_root

_END = "end"
# what else decides which configuration counts
_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")


class Found:
    """What was found clean, and what that depended on.

    `stages` are those of one dvc.yaml and their needs, `others` the rest, known only if it was `whole`. `looked` has
    pairs of kind and path from the root: `F` a file or nothing, `D` a directory's list of names, `T` a tree.
    """

    def __init__(
        self, stages: list[str], others: list[str], looked: list[tuple[str, str]], *, whole: bool
    ) -> None:
        self.stages, self.others, self.looked, self.whole = stages, others, looked, whole


def clean_stages(start: str, *, whole: bool) -> list[str] | None:
    """The stages that were found clean, when nothing that this depended on has changed since; else None.

    `whole` asks for all stages of the repository, otherwise for those of the dvc.yaml in `start` and their needs.
    """
    root = project_root(start)
    if root is None:
        return None
    try:
        with open(note_path(root, start), "rb") as file:  # noqa: PTH123
            head, *lines = os.fsdecode(file.read()).split("\n")
    except OSError:
        return None
    if not lines or lines.pop() != _END:
        return None
    asked = "SO" if whole else "S"
    if head not in (_head("whole"), _head("part")) or (whole and head != _head("whole")):
        return None
    if not all(_holds(root, line) for line in lines if line[:1] not in "SO"):
        return None
    return [line[2:] for line in lines if line[:1] in asked]


def note_path(root: str, start: str) -> str:
    """Where the note about the dvc.yaml in `start` lies."""
    here = start.removeprefix(root).strip("/").replace("%", "%25").replace("/", "%2F")
    return f"{root}/.tidegate/cache/clean-{here}"


def render_note(root: str, found: Found) -> str | None:
    """The text of a note; None when a name in it would not survive."""
    if any("\n" in text for text in (*found.stages, *found.others, *(path for _, path in found.looked))):
        return None
    lines = [*(f"S {name}" for name in found.stages), *(f"O {name}" for name in found.others)]
    lines += [f"E {os.environ.get(name, '')}\t{name}" for name in _VARIABLES]
    looked = [("U" if kind == "T" and _is_outside(path) else kind, path) for kind, path in found.looked]
    lines += [f"{kind} {_read_key(kind, _full(root, path))}\t{path}" for kind, path in looked]
    return "\n".join([_head("whole" if found.whole else "part"), *lines, _END])


def path_key(path: str) -> str:
    """What tells a file, or a whole directory, from a changed one; `-` where there is nothing."""
    return _read_key("T" if os.path.isdir(path) else "F", path)  # noqa: PTH112


def newest(note: str) -> int:
    """The latest time, in ns, at which anything in a note was changed."""
    keys = [line[2:].split("\t", 1)[0].split(" ") for line in note.split("\n")[1:] if line[:1] in _KEYS]
    return max((int(part) for key in keys if len(key) > 2 for part in key[1:3]), default=0)


def _head(reach: str) -> str:
    return f"tidegate {__version__} {reach}"


def _holds(root: str, line: str) -> bool:
    key, _, path = line[2:].partition("\t")
    if line[:1] == "E":
        return os.environ.get(path, "") == key
    return line[:1] in _KEYS and _read_key(line[:1], _full(root, path)) == key


def _full(root: str, path: str) -> str:
    return path if path[:1] == "/" else f"{root}/{path}"


def _read_key(kind: str, path: str) -> str:
    """The key of a path as one of the kinds in `_KEYS`; `-` where there is nothing."""
    try:
        return _KEYS[kind](path)
    except OSError:
        return "-"


def _file_key(path: str) -> str:
    seen = os.stat(path)  # noqa: PTH116
    return f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino} {seen.st_mode}"


def _folder_key(path: str) -> str:
    seen = os.stat(path)  # noqa: PTH116
    return f"0 {seen.st_mtime_ns} {seen.st_mtime_ns} {seen.st_ino}"


def _tree_key(path: str) -> str:
    from tidegate.data.walk import tree_key

    return tree_key(path)


def _outside_key(path: str) -> str:
    """Of a tree outside of the repository nothing is ignored."""
    from tidegate.data.walk import tree_key

    return tree_key(path, lambda _: False)


def _is_outside(path: str) -> bool:
    return path[:1] == "/" or path[:3] == "../"


_KEYS = {"F": _file_key, "D": _folder_key, "T": _tree_key, "U": _outside_key}
