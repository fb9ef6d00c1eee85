"""Names on disk: where a project keeps its state (all of it below the git-ignored `.tidegate/`)."""

from pathlib import Path
from typing import NamedTuple

from tidegate.errors import NotFoundError

MARKS = (".dvc", "tidegate.toml", "dvc.yaml")


class Layout(NamedTuple):
    """The paths of the project at `root`."""

    root: Path

    @property
    def state(self) -> Path:
        """Everything tidegate keeps; git-ignored."""
        return self.root / ".tidegate"

    @property
    def ledger(self) -> Path:
        """The append-only, hash-chained ledger (SQLite)."""
        return self.state / "ledger.db"

    @property
    def log(self) -> Path:
        """Segments of the prediction log and of the late labels."""
        return self.state / "log"

    @property
    def bundles(self) -> Path:
        """Bundles, each in a directory named by its digest."""
        return self.state / "bundles"

    @property
    def keys(self) -> Path:
        """The signing key and the trusted public keys."""
        return self.state / "keys"

    @property
    def run(self) -> Path:
        """Pid files, plans and logs of running services."""
        return self.state / "run"


def find_root(start: Path | None = None) -> Path:
    """The nearest directory at or above `start` that holds a project.

    Raises NotFoundError when there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    raise NotFoundError(str(here), "no project here or above", hint="tidegate init")
