"""Content that nobody saved is never deleted: it is moved to `.tidegate/aside/<time>/<where it was>`."""

import os
import time
from pathlib import Path

from tidegate.store.layout import Layout


class Aside:
    """One operation's place for what it moves away; made when the first file comes."""

    def __init__(self, root: Path) -> None:
        self._above = Layout(root).state / "aside"
        self.folder: Path | None = None

    def take(self, path: str, name: str) -> None:
        """Move the file, link or directory at `path` here, as `name`."""
        folder = self.folder = self.folder or _make(self._above)
        target = _free(folder / name.lstrip("/").replace("../", "up/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(path, target)  # noqa: PTH104
        except OSError:
            import shutil

            shutil.move(path, target)


def _make(above: Path) -> Path:
    above.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 1
    while True:
        folder = above / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _free(target: Path) -> Path:
    """A file may be moved away where a directory of that name already was, and the other way round."""
    free, number = target, 1
    while os.path.lexists(free):
        number += 1
        free = target.with_name(f"{target.name}-{number}")
    return free
