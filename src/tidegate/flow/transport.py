"""Bundles between machines: what the settings say about signatures, applied to export, import, verify and sign."""

from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UsageError
from tidegate.project import load_config
from tidegate.registry.keys import adopt, read_signing_key, signing_key
from tidegate.registry.load import Bundle, find_bundle, open_bundle
from tidegate.registry.openssf import Judge, Signer, own_judge, own_signer
from tidegate.registry.pack import MANIFEST
from tidegate.registry.receive import Trust, Verified, verify_provenance
from tidegate.registry.sign import sign_with
from tidegate.registry.transport import export_bundle, import_bundle, replace_signature, verify_export
from tidegate.store.layout import Layout


class Exported(NamedTuple):
    """What was written where."""

    bundle: str
    path: Path
    files: tuple[str, ...]


class Asked(NamedTuple):
    """What a model signature must be by; `is_required` without naming anybody means the project's own key."""

    key: Path | None = None
    roots: tuple[Path, ...] = ()
    is_required: bool = False


def open_here(root: Path, prefix: str) -> Bundle:
    """The verified bundle whose digest begins so."""
    layout, require = Layout(root), load_config(root).sign.require
    return open_bundle(layout.bundles, find_bundle(layout.bundles, prefix), keys=layout.keys, require=require)


def export(root: Path, prefix: str, target: Path, *, signer: Signer | None = None) -> Exported:
    """Write a bundle to a folder or a .tar; errors as in `export_bundle`."""
    bundle = open_here(root, prefix)
    files = export_bundle(bundle, target, keys=Layout(root).keys, signer=signer)
    return Exported(bundle.digest, target, files)


def signer_of(root: Path, given: Signer | None) -> Signer:
    """Who signs for OpenSSF: the one named, else the project's own key for it."""
    return given or own_signer(Layout(root).keys)


def take_in(root: Path, source: Path, asked: Asked) -> tuple[Verified, bool]:
    """Verify an exported bundle and keep it; also says whether it is new here."""
    bundles = Layout(root).bundles
    bundles.mkdir(parents=True, exist_ok=True)
    return import_bundle(source, bundles, _trust(root, asked))


def verify(root: Path, name: str, asked: Asked) -> Verified:
    """Verify an exported bundle if `name` is a path, else the bundle here whose digest begins so."""
    trust = _trust(root, asked)
    if Path(name).exists():
        return verify_export(Path(name), trust)
    if trust.judge:
        raise UsageError("bundle verify", f"no file `{name}`, only an export has a model signature")
    return verify_provenance(open_here(root, name), trust)


def sign(root: Path, prefix: str, key: Path | None = None) -> Bundle:
    """Sign a bundle anew, by the project's own key or the one in a file, which is trusted from then on.

    Whoever signed before is forgotten. Raises CorruptError, and changes nothing, when a byte of the bundle differs.
    """
    layout = Layout(root)
    digest = find_bundle(layout.bundles, prefix)
    private = read_signing_key(key) if key else signing_key(layout.keys)
    manifest = (layout.bundles / digest / MANIFEST).read_bytes()
    signature = sign_with(private, manifest)
    adopt(layout.keys, private)
    return replace_signature(layout.bundles, digest, signature, keys=layout.keys)


def _trust(root: Path, asked: Asked) -> Trust:
    keys, require = Layout(root).keys, load_config(root).sign.require
    judge = Judge(asked.key, asked.roots) if asked.key or asked.roots else None
    return Trust(keys, require, judge or (own_judge(keys) if asked.is_required else None))
