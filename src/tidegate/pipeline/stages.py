"""Stages as frozen records: what a dvc.yaml or a .dvc file says, with paths seen from the root."""

import re
from typing import Literal, NamedTuple

from tidegate.errors import UsageError
from tidegate.pipeline.faults import FaultError, Place

PIPELINE = "dvc.yaml"
LOCK = "dvc.lock"
PARAMS = "params.yaml"
DATA_SUFFIX = ".dvc"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

OutKind = Literal["out", "metric", "plot"]


class Dep(NamedTuple):
    """A file, directory or URL a stage reads: as written, and from the root."""

    path: str
    at: str
    place: Place = ()


class Params(NamedTuple):
    """Keys a stage reads from a parameter file; None means all of them."""

    path: str
    at: str
    keys: tuple[str, ...] | None
    place: Place = ()


class Out(NamedTuple):
    """A file or directory a stage writes.

    `persist` keeps it in place while the stage runs; `push` and `remote` say whether, and where, it is shared.
    """

    path: str
    at: str
    kind: OutKind = "out"
    cache: bool = True
    persist: bool = False
    push: bool = True
    remote: str = ""
    place: Place = ()


class Resources(NamedTuple):
    """What a stage says it takes of the machine while it runs, in `meta.tidegate`; memory in bytes."""

    cpus: float = 0.0
    gpus: int = 0
    memory: int = 0


class Stage(NamedTuple):
    """One stage of a dvc.yaml, or one .dvc file, whose `name` is empty.

    `key` names it in the whole repository, `file` is where it is written; both from the root. A stage without
    `cmd` has nothing to run: its outs are data that somebody added or, with `is_import`, imported.
    """

    key: str
    name: str
    file: str
    cmd: str | list[str] | None
    wdir: str
    deps: tuple[Dep, ...] = ()
    params: tuple[Params, ...] = ()
    outs: tuple[Out, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    group: str = ""
    resources: Resources = Resources()
    is_import: bool = False
    place: Place = ()

    @property
    def is_unconditional(self) -> bool:
        """Whether it runs each time: told so, or nothing could ever say that it changed."""
        return self.always_changed or not (self.deps or self.params or self.outs)

    @property
    def is_data(self) -> bool:
        """Whether it is a .dvc file: outs that nothing makes."""
        return not self.name


def stage_key(file: str, name: str) -> str:
    """The name of a stage in the repository: bare at the root, else behind its file and a colon."""
    return name if file == PIPELINE else f"{file}:{name}"


def located(fault: FaultError, text: str, file: str) -> UsageError:
    """The error a person sees: `dvc.yaml:line:column: ...`."""
    from tidegate.data.yaml import locate

    return UsageError(locate(text, fault.place, file), fault.message, hint=fault.hint)


def is_url(path: str) -> bool:
    """Whether a dep lies outside of the file system, such as `s3://bucket/key`."""
    return _URL.match(path) is not None
