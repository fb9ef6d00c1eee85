"""Opening a bundle: every byte is verified before any of it is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.data.contract import Contract, parse_contract
from tidegate.errors import CorruptError, NotFoundError
from tidegate.registry.pack import MANIFEST, Manifest, Part, parse_manifest
from tidegate.registry.sign import SIGNATURE, verify
from tidegate.store.files import sha256_bytes

CONTRACT = "contract.odcs.yaml"
LABELS = "labels.json"


class Bundle(NamedTuple):
    """A verified bundle; `parts` are the very bytes that were verified, `key` signed them ("" if nobody)."""

    digest: str
    path: Path
    manifest: Manifest
    parts: Mapping[str, bytes]
    key: str

    def read(self, name: str) -> bytes:
        """The bytes of one part; NotFoundError for a name that the bundle does not hold."""
        if name not in self.parts:
            raise NotFoundError(
                f"bundle {self.digest[:12]}", f"no part `{name}`", hint="tidegate bundle show"
            )
        return self.parts[name]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the class indices; empty when the model answers with names itself."""
        return msgspec.json.decode(self.read(LABELS), type=tuple[str, ...])

    @property
    def contract(self) -> Contract:
        """The columns that the model is asked with."""
        return parse_contract(self.read(CONTRACT).decode(), CONTRACT)


def open_bundle(bundles: Path, digest: str, *, keys: Path, require: bool) -> Bundle:
    """Read and verify a whole bundle.

    Raises NotFoundError for an unknown digest; CorruptError when a byte differs, a file is missing or
    foreign, or no trusted key signed it (a missing signature is allowed when `require` is false).
    """
    path = bundles / digest
    where = f"bundle {digest[:12]}"
    if not digest or not path.is_dir():
        raise NotFoundError(where, "no such bundle here", hint="tidegate bundle ls")
    files = {file.name: _read(file, where) for file in sorted(path.iterdir())}
    text = files.pop(MANIFEST, b"")
    if sha256_bytes(text) != digest:
        raise CorruptError(where, f"`{MANIFEST}` differs from the bundle's name, refusing to load")
    signature = files.pop(SIGNATURE, None)
    manifest = parse_manifest(text, where=where)
    _check_files(files, manifest.files, where)
    if signature is None and require:
        raise CorruptError(where, "no signature, one is required", hint="tidegate config show sign")
    key = "" if signature is None else verify(keys, text, signature, where=where)
    return Bundle(digest, path, manifest, files, key)


def read_manifest(bundles: Path, digest: str) -> Manifest:
    """The manifest of a bundle that has been verified before."""
    return parse_manifest((bundles / digest / MANIFEST).read_bytes(), where=f"bundle {digest[:12]}")


def find_bundle(bundles: Path, prefix: str) -> str:
    """The digest that begins with `prefix`; NotFoundError unless there is exactly one."""
    found = [digest for digest in bundle_digests(bundles) if digest.startswith(prefix)]
    if len(found) != 1:
        problem = f"`{prefix}` begins {len(found)} digests here, it must begin one"
        raise NotFoundError("bundle", problem, hint="tidegate bundle ls")
    return found[0]


def bundle_digests(bundles: Path) -> list[str]:
    """The digests of all bundles here, sorted."""
    return sorted(path.name for path in bundles.glob("*") if path.is_dir() and path.name[0] != ".")


def _read(path: Path, where: str) -> bytes:
    if not path.is_file() or path.is_symlink():
        raise CorruptError(where, f"`{path.name}` is no file, refusing to load")
    return path.read_bytes()


def _check_files(files: Mapping[str, bytes], expected: Mapping[str, Part], where: str) -> None:
    for name in sorted(files.keys() | expected.keys()):
        if name not in files:
            raise CorruptError(where, f"`{name}` is missing, refusing to load")
        if name not in expected:
            raise CorruptError(where, f"`{name}` is not in its manifest, refusing to load")
        if sha256_bytes(files[name]) != expected[name].sha256:
            raise CorruptError(where, f"`{name}` differs from its manifest, refusing to load")
