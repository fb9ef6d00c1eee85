"""A bundle as a tar file of which there is one for the same files; the reader takes no other.

So no link, device, hole, path or byte has a place in it that the writer would not have put there.
"""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from tidegate.errors import CorruptError

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20


class Item(NamedTuple):
    """A file on its way: its bytes come in pieces, which must be taken before the next file is asked for."""

    name: str
    size: int
    pieces: Iterator[bytes]


def write_archive(target: BinaryIO, files: Iterable[Path]) -> None:
    """The files in this order, under their names alone, without times and owners."""
    for path in files:
        size = path.stat().st_size
        target.write(make_head(path.name, size))
        with path.open("rb") as file:
            for piece in read_pieces(file, size, path.name):
                target.write(piece)
        target.write(bytes(-size % BLOCK))
    target.write(bytes(_tail(target.tell())))


def read_archive(source: BinaryIO, name: str) -> Iterator[Item]:
    """The files of an archive in its order; CorruptError, sooner or later, for bytes that nobody would have written."""
    while any(head := source.read(BLOCK)):
        item = _item(source, head, name)
        yield item
        for _ in item.pieces:
            _refuse(name, f"`{item.name}` was not read to its end")
        if source.read(-item.size % BLOCK).strip(b"\0"):
            _refuse(name, f"bytes after the end of `{item.name}`")
    rest = _tail(source.tell() - len(head)) - len(head)
    if source.read(rest + 1) != bytes(rest):
        _refuse(name, "does not end where it should")


def _item(source: BinaryIO, head: bytes, name: str) -> Item:
    """The file that a head announces; the head is written anew to see that it says nothing else."""
    try:
        file, size = head[:100].rstrip(b"\0").decode(), int(head[124:136].rstrip(b"\0"), 8)
        is_ours = head == make_head(file, size)
    except (ValueError, OverflowError):
        is_ours = False
    if not is_ours:
        _refuse(name, "not an archive that `tidegate bundle export` writes")
    return Item(file, size, read_pieces(source, size, name))


def make_head(name: str, size: int) -> bytes:
    """The block that announces a file; ValueError for a name or size that the format has no place for."""
    info = tarfile.TarInfo(name)
    info.size = size
    head = info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    if head[:100].rstrip(b"\0").decode() != name:
        raise ValueError(name)
    return head


def read_pieces(source: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    """So many bytes, a piece at a time; CorruptError when there are fewer."""
    while size:
        piece = source.read(min(size, CHUNK))
        if not piece:
            _refuse(name, "ends too early")
        size -= len(piece)
        yield piece


def _tail(end: int) -> int:
    """How many zeros follow the last file: two blocks, and what fills the record."""
    return 2 * BLOCK + -(end + 2 * BLOCK) % tarfile.RECORDSIZE


def _refuse(name: str, found: str) -> NoReturn:
    raise CorruptError(name, f"{found}, refusing to import", hint="ask for it to be exported again")
