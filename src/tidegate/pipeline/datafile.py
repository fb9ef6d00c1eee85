"""Write into a .dvc file what its outs hold now."""

from pathlib import Path

from tidegate.data.dvcfile import parse_dvcfile, update_dvcfile, with_content_md5
from tidegate.data.dvcrecord import Content, DvcFile
from tidegate.data.hash import Hashed
from tidegate.pipeline.lockfile import Entry
from tidegate.pipeline.stages import Stage
from tidegate.store.files import write_atomic


def write_data(root: Path, stage: Stage, entry: Entry) -> None:
    """Replace the hashes of outs and deps in the stage's .dvc file, atomically; all else in it stays."""
    path = root / stage.file
    text = path.read_text(encoding="utf-8")
    record = _with_hashes(parse_dvcfile(text, stage.file), entry)
    write_atomic(path, update_dvcfile(text, with_content_md5(record) if record.md5 else record))


def _with_hashes(record: DvcFile, entry: Entry) -> DvcFile:
    outs = tuple(out._replace(content=_content(out.content, entry.outs.get(out.path))) for out in record.outs)
    deps = tuple(dep._replace(content=_content(dep.content, entry.deps.get(dep.path))) for dep in record.deps)
    return record._replace(outs=outs, deps=deps)


def _content(content: Content, hashed: Hashed | None) -> Content:
    """A content that did not change keeps what storages said of it."""
    if hashed is None or hashed == content.hashed:
        return content
    return Content(hashed=hashed)
