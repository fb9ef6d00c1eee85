"""From parts to a bundle: an immutable, signed directory named by the digest of its manifest."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.errors import CorruptError
from tidegate.registry.sign import SIGNATURE, sign
from tidegate.store.files import sha256_bytes, sync_path
from tidegate.store.lock import hold

MANIFEST = "manifest.json"
FORMAT = 1
UNFINISHED = ".packing-"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a bundle: SHA-256 and size in bytes."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle holds; the digest of this file's bytes is the bundle's digest."""

    format: int
    name: str
    files: dict[str, Part]


def pack(bundles: Path, keys: Path, parts: Mapping[str, bytes], *, name: str) -> str:
    """Write the bundle of these parts and return its digest; the same parts give the same bundle.

    The directory appears whole, by a rename, or not at all.
    """
    manifest = render_manifest(name, parts)
    digest = sha256_bytes(manifest)
    with hold(bundles / ".lock", what="packing a bundle", wait_s=60):
        _sweep(bundles)
        if not (bundles / digest).exists():
            files = {**parts, MANIFEST: manifest, SIGNATURE: sign(keys, manifest)}
            _write_folder(bundles, digest, files)
    return digest


def render_manifest(name: str, parts: Mapping[str, bytes]) -> bytes:
    """The manifest's bytes: sorted, so that they depend on the parts alone."""
    manifest = Manifest(FORMAT, name, describe(parts))
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted")) + b"\n"


def describe(parts: Mapping[str, bytes]) -> dict[str, Part]:
    """Digest and size of each part."""
    return {part: Part(sha256_bytes(data), len(data)) for part, data in sorted(parts.items())}


def parse_manifest(data: bytes, *, where: str) -> Manifest:
    """The manifest in a file's bytes; CorruptError for one that this version does not understand."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(where, f"{MANIFEST} is none, {error}") from None
    if manifest.format != FORMAT:
        raise CorruptError(where, f"{MANIFEST} has format {manifest.format}, expected {FORMAT}")
    return manifest


def _sweep(bundles: Path) -> None:
    """Remove what a killed process left unfinished; the lock says that none is at work."""
    for left in bundles.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left)


def _write_folder(bundles: Path, digest: str, files: Mapping[str, bytes]) -> None:
    folder = Path(tempfile.mkdtemp(dir=bundles, prefix=UNFINISHED))
    for name, data in files.items():
        _write_final(folder / name, data)
    folder.chmod(0o755)
    sync_path(folder)
    folder.rename(bundles / digest)
    sync_path(bundles)


def _write_final(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
