"""Bundles on their way between machines: out into a folder or an archive, in after every byte was verified."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import ConflictError
from tidegate.registry.archive import write_archive
from tidegate.registry.dsse import ENVELOPE, seal
from tidegate.registry.keys import fingerprint, own_key
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.openssf import Signer, sign_folder
from tidegate.registry.pack import UNFINISHED
from tidegate.registry.provenance import PROVENANCE, check_subjects
from tidegate.registry.receive import FIRST, Trust, Verified, in_order, receive, write_final
from tidegate.registry.sign import SIGNATURE
from tidegate.store.files import sync_path
from tidegate.store.lock import hold

ARCHIVE = ".tar"


def export_bundle(
    bundle: Bundle, target: Path, *, keys: Path, signer: Signer | None = None
) -> tuple[str, ...]:
    """Write a verified bundle to a folder, or an archive if the name ends with .tar; returns the names of the files.

    Our own signature is repeated over the provenance, so that other tools can verify it. Raises ConflictError when
    something is there already.
    """
    if target.exists() or target.is_symlink():
        raise ConflictError(str(target), "exists already, expected a new name")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".exporting-") as scratch:
        folder = Path(scratch) / bundle.digest
        folder.mkdir()
        for name, data in _outgoing(bundle, keys).items():
            (folder / name).write_bytes(data)
        if signer:
            sign_folder(folder, signer)
        names = in_order(path.name for path in folder.iterdir())
        _settle(_archived(folder, names) if target.suffix == ARCHIVE else folder, target)
    return names


def import_bundle(source: Path, bundles: Path, trust: Trust) -> tuple[Verified, bool]:
    """Verify what lies at `source` and put it among the bundles; also says whether it is new here."""
    with _staging(bundles) as folder:
        found = receive(source, folder, trust)
        target = bundles / found.bundle.digest
        if target.exists():
            known = open_bundle(bundles, target.name, keys=trust.keys, require=trust.require)
            return found._replace(bundle=known), False
        found.bundle.path.chmod(0o755)
        for path in (*found.bundle.path.iterdir(), found.bundle.path):
            sync_path(path)
        found.bundle.path.rename(target)
        sync_path(bundles)
        return found._replace(bundle=found.bundle._replace(path=target)), True


def verify_export(source: Path, trust: Trust) -> Verified:
    """The same verdict as `import_bundle` without keeping anything."""
    with tempfile.TemporaryDirectory(prefix="tidegate-") as scratch:
        return receive(source, Path(scratch), trust)


def replace_signature(bundles: Path, digest: str, signature: bytes, *, keys: Path) -> Bundle:
    """Give a bundle another signature once the whole bundle verifies with it; else everything stays as it was."""
    with _staging(bundles) as folder:
        trial = folder / digest
        trial.mkdir()
        for path in (bundles / digest).iterdir():
            if path.name != SIGNATURE:
                os.link(path, trial / path.name, follow_symlinks=False)
        write_final(trial / SIGNATURE, iter([signature]))
        sync_path(trial / SIGNATURE)
        open_bundle(folder, digest, keys=keys, require=True)
        # never a moment without a signature, or with a file that is no part
        (trial / SIGNATURE).replace(bundles / digest / SIGNATURE)
        sync_path(bundles / digest)
    return open_bundle(bundles, digest, keys=keys, require=True)


def _outgoing(bundle: Bundle, keys: Path) -> dict[str, bytes]:
    """The bytes of every file of an export but the OpenSSF signature."""
    files = {name: (bundle.path / name).read_bytes() for name in FIRST if (bundle.path / name).exists()}
    own, statement = own_key(keys), bundle.parts.get(PROVENANCE)
    if own and statement and fingerprint(own.public_key()) == bundle.key:
        where = f"bundle {bundle.digest[:12]}"
        if check_subjects(statement, bundle.manifest, where=where) is not None:
            files[ENVELOPE] = seal(own, statement)
    return {**files, **bundle.parts}


def _archived(folder: Path, names: tuple[str, ...]) -> Path:
    path = folder.with_suffix(ARCHIVE)
    with path.open("xb") as file:
        write_archive(file, (folder / name for name in names))
        file.flush()
        os.fsync(file.fileno())
    return path


def _settle(made: Path, target: Path) -> None:
    made.chmod(0o755 if made.is_dir() else 0o644)
    made.rename(target)
    sync_path(target.parent)


@contextmanager
def _staging(bundles: Path) -> Iterator[Path]:
    """A folder beside the bundles that never outlives the work in it, or else the next that packs one."""
    with hold(bundles / ".lock", what="bundles", wait_s=60):
        for left in bundles.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=bundles, prefix=UNFINISHED) as folder:
            yield Path(folder)
