"""Names on disk: where a project keeps its state (all of it below the git-ignored `.tidegate/`)."""

from pathlib import Path
from typing import NamedTuple

from tidegate.errors import NotFoundError
from tidegate.store.root import project_root


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
    def access(self) -> Path:
        """The digests of the keys that clients of the gateway have."""
        return self.keys / "access.json"

    @property
    def run(self) -> Path:
        """Pid files, plans and logs of running services."""
        return self.state / "run"

    @property
    def metrics(self) -> Path:
        """What the gateway's workers have counted, a file each."""
        return self.run / "metrics"


def find_root(start: Path | None = None) -> Path:
    """The root of the project that holds `start`, by default the current directory.

    Raises NotFoundError when there is none.
    """
    here = (start or Path.cwd()).resolve()
    root = project_root(str(here))
    if root is None:
        raise NotFoundError(str(here), "no project here or above", hint="tidegate init")
    return Path(root)


def standing(root: Path, start: Path | None = None) -> str:
    """The directory where the user stands, from the root; empty at the root itself."""
    here = str((start or Path.cwd()).resolve())
    return "" if here == str(root) else here.removeprefix(f"{root}/")
