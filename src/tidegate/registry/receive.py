"""Taking a bundle in: every byte is verified while it is written, and nothing unverified stays.

Files come in an order in which each is judged by what was verified before it: the manifest, its signature, then
the parts, each of the size that the signed manifest says.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tidegate.errors import CorruptError, NotFoundError
from tidegate.registry.archive import Item, read_archive, read_pieces
from tidegate.registry.dsse import ENVELOPE, unseal
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.openssf import MODEL_SIGNATURE, Judge, verify_folder
from tidegate.registry.pack import MANIFEST, Manifest, Part, parse_manifest
from tidegate.registry.provenance import PROVENANCE, check_subjects
from tidegate.registry.sign import SIGNATURE, verify
from tidegate.store.files import sha256_bytes

# files that travel with a bundle and are no part of it
ATTACHMENTS = (ENVELOPE, MODEL_SIGNATURE)
FIRST = (MANIFEST, SIGNATURE)
MAX_FILES = 1000
MAX_BYTES = 1 << 36
MAX_SMALL = 1 << 24
LONGEST_NAME = 100


class Trust(NamedTuple):
    """Whom an import believes: the keys here, whether a signature must be there, and an OpenSSF signature's judge."""

    keys: Path
    require: bool
    judge: Judge | None = None


class Verified(NamedTuple):
    """A bundle with what else was verified: the files its provenance speaks of, and the attachments.

    `subjects` is None when the provenance is none in the form of in-toto; `unverified` names attachments that nobody
    was asked to judge.
    """

    bundle: Bundle
    subjects: int | None
    verified: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


class _Expected(NamedTuple):
    """What may come: the manifest with its bytes, and whom to believe."""

    manifest: Manifest
    text: bytes
    trust: Trust
    where: str


def receive(source: Path, into: Path, trust: Trust) -> Verified:
    """Verify what lies at `source` while writing it into a new folder below `into`.

    Raises CorruptError at the first thing that is not as signed, and NotFoundError when nothing is there.
    """
    items = _items(source)
    text = _small(next(items, None), MANIFEST, source)
    digest = sha256_bytes(text)
    where = f"bundle {digest[:12]}"
    manifest = parse_manifest(text, where=where)
    _check_limits(manifest, where)
    folder = into / digest
    folder.mkdir()
    write_final(folder / MANIFEST, iter([text]))
    _receive_files(items, folder, _Expected(manifest, text, trust, where))
    attached = _detach(folder, into, trust, where=where)
    bundle = open_bundle(into, digest, keys=trust.keys, require=trust.require)
    return verify_provenance(bundle, trust, attached)


def verify_provenance(bundle: Bundle, trust: Trust, attached: Mapping[str, bytes] | None = None) -> Verified:
    """What the provenance of an opened bundle and its attachments say; CorruptError when it is about another one."""
    where, attached = f"bundle {bundle.digest[:12]}", attached or {}
    statement = bundle.parts.get(PROVENANCE)
    subjects = None if statement is None else check_subjects(statement, bundle.manifest, where=where)
    if ENVELOPE in attached and unseal(trust.keys, attached[ENVELOPE], where=where)[0] != statement:
        raise CorruptError(where, f"{ENVELOPE} holds another provenance than the bundle, refusing to load")
    judged = {name: name == ENVELOPE or trust.judge is not None for name in sorted(attached)}
    verified = tuple(name for name, is_judged in judged.items() if is_judged)
    return Verified(bundle, subjects, verified, tuple(name for name in judged if name not in verified))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """What the others are judged by comes first."""
    found = set(names)
    return (*(name for name in FIRST if name in found), *sorted(found.difference(FIRST)))


def _items(source: Path) -> Iterator[Item]:
    if source.is_dir():
        yield from _from_folder(source)
    elif source.is_file():
        with source.open("rb") as file:
            yield from read_archive(file, source.name)
    else:
        raise NotFoundError(str(source), "nothing there, expected an exported bundle")


def _from_folder(folder: Path) -> Iterator[Item]:
    for name in in_order(path.name for path in folder.iterdir()):
        with _open_plain(folder / name) as file:
            size = os.fstat(file.fileno()).st_size
            yield Item(name, size, read_pieces(file, size, folder.name))


def _open_plain(path: Path) -> BinaryIO:
    """A file that is one: following no link and waiting at no pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise CorruptError(
            path.parent.name, f"`{path.name}` is no readable file, refusing to import"
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise CorruptError(path.parent.name, f"`{path.name}` is no file, refusing to import")
    return os.fdopen(handle, "rb")


def _small(item: Item | None, name: str, source: Path) -> bytes:
    """The bytes of a file that must come now and fit in memory."""
    if item is None or item.name != name:
        found = f"`{item.name}`" if item else "nothing"
        raise CorruptError(source.name, f"{found} comes first, expected `{name}`, refusing to import")
    return _taken(item, source.name)


def _taken(item: Item, where: str) -> bytes:
    if item.size > MAX_SMALL:
        raise CorruptError(where, f"`{item.name}` has {item.size:,} bytes, at most {MAX_SMALL:,}")
    return b"".join(item.pieces)


def _check_limits(manifest: Manifest, where: str) -> None:
    total = sum(part.size for part in manifest.files.values())
    if len(manifest.files) > MAX_FILES or total > MAX_BYTES:
        found = f"{len(manifest.files):,} files of {total:,} bytes"
        raise CorruptError(where, f"{found}, at most {MAX_FILES:,} of {MAX_BYTES:,} are imported")
    for name, part in manifest.files.items():
        if not _is_plain(name) or name in (*FIRST, *ATTACHMENTS) or part.size < 0:
            raise CorruptError(where, f"{name!r} cannot be a file of a bundle, refusing to import")


def _is_plain(name: str) -> bool:
    return (
        name.isprintable()
        and not name.startswith(".")
        and "/" not in name
        and 0 < len(name.encode()) <= LONGEST_NAME
    )


def _receive_files(items: Iterator[Item], folder: Path, expected: _Expected) -> None:
    """Write the rest of the files, of which the first must be the signature if one is required."""
    seen = [MANIFEST]
    for item in items:
        if item.name == SIGNATURE and seen == [MANIFEST]:
            data = _taken(item, expected.where)
            verify(expected.trust.keys, expected.text, data, where=expected.where)
            write_final(folder / SIGNATURE, iter([data]))
        else:
            _receive_file(item, folder, expected, seen)
        seen.append(item.name)


def _receive_file(item: Item, folder: Path, expected: _Expected, seen: list[str]) -> None:
    where, part = expected.where, expected.manifest.files.get(item.name)
    if SIGNATURE not in seen and expected.trust.require:
        raise CorruptError(where, "no signature, one is required", hint="tidegate config show sign")
    if seen[-1] not in FIRST and item.name <= seen[-1]:
        raise CorruptError(where, f"`{item.name}` comes after `{seen[-1]}`, refusing to import")
    if part is not None:
        _receive_part(item, folder, part, where)
    elif item.name in ATTACHMENTS:
        write_final(folder / item.name, iter([_taken(item, where)]))
    else:
        raise CorruptError(where, f"`{item.name}` is not in its manifest, refusing to import")


def _receive_part(item: Item, folder: Path, part: Part, where: str) -> None:
    if item.size != part.size:
        found = f"`{item.name}` has {item.size:,} bytes, its manifest says {part.size:,}"
        raise CorruptError(where, f"{found}, refusing to import")
    if write_final(folder / item.name, item.pieces) != part.sha256:
        raise CorruptError(where, f"`{item.name}` differs from its manifest, refusing to import")


def _detach(folder: Path, into: Path, trust: Trust, *, where: str) -> dict[str, bytes]:
    """Judge the OpenSSF signature if asked to, then take what is no part of the bundle out of its folder."""
    if trust.judge:
        verify_folder(folder, trust.judge, where=where)
    attached = {}
    for name in ATTACHMENTS:
        if (folder / name).exists():
            attached[name] = (folder / name).read_bytes()
            (folder / name).rename(into / name)
    return attached


def write_final(path: Path, pieces: Iterator[bytes]) -> str:
    """Write a new file that is final, and tell its digest."""
    digest = sha256()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444)
    with os.fdopen(handle, "wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
