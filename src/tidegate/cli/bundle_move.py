"""`tidegate bundle export` and `import`: a bundle on its way to another machine, and what was verified of it there."""

from pathlib import Path
from typing import Any

import click

from tidegate.cli.output import json_option, print_json, say, short
from tidegate.cli.sync import options
from tidegate.errors import UsageError
from tidegate.flow import transport
from tidegate.registry.openssf import Signer
from tidegate.registry.provenance import PROVENANCE, read_provenance
from tidegate.registry.receive import Verified
from tidegate.store.layout import find_root

FILE = click.Path(path_type=Path)

openssf_options = options(
    click.option(
        "--openssf-key", "key", type=FILE, help="Refuse it unless this public key signed model.sig."
    ),
    click.option(
        "--openssf-root",
        "roots",
        type=FILE,
        multiple=True,
        help="Refuse it unless a certificate below this one signed model.sig; may be repeated.",
    ),
    click.option(
        "--require-openssf", is_flag=True, help="Refuse it without model.sig, by default one of this project."
    ),
)


@click.command("export")
@click.argument("digest")
@click.argument("path", type=FILE)
@click.option("--openssf", is_flag=True, help="Add model.sig, by the project's own key unless one is named.")
@click.option("--openssf-key", "key", type=FILE, help="Sign model.sig with the private key in this file.")
@click.option("--openssf-cert", "certificate", type=FILE, help="The certificate of that key's owner.")
@click.option(
    "--openssf-chain",
    "chain",
    type=FILE,
    multiple=True,
    help="A certificate that vouches for it; may be repeated.",
)
@json_option
def export(
    digest: str,
    path: Path,
    *,
    openssf: bool,
    key: Path | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write a bundle to PATH: a new folder, or an archive if the name ends with .tar.

    Beside its files go its provenance as a signed in-toto envelope, if this project signed the bundle, and with
    --openssf the OpenSSF model signature, model.sig. Without that the same bundle gives the same archive.

    \b
    Example:
      tidegate bundle export 9b1e digits.tar
      tidegate bundle export 9b1e out/digits --openssf
    """
    root = find_root()
    if (certificate or chain) and not key:
        raise UsageError(
            "bundle export", "a certificate without its private key", hint="add --openssf-key FILE"
        )
    given = Signer(key, certificate, chain) if key else None
    signer = transport.signer_of(root, given) if openssf or given else None
    done = transport.export(root, digest, path, signer=signer)
    if as_json:
        print_json({"bundle": done.bundle, "path": str(done.path), "files": done.files})
    else:
        say(f"bundle {short(done.bundle)}: {len(done.files)} files in {done.path}")


@click.command("import")
@click.argument("path", type=FILE)
@openssf_options
@json_option
def import_(
    path: Path, *, key: Path | None, roots: tuple[Path, ...], require_openssf: bool, as_json: bool
) -> None:
    """Verify an exported bundle at PATH and keep it; exit code 6, and nothing kept, when something differs.

    Its signer must be trusted here. It is not released by this.

    \b
    Example:
      tidegate bundle keys trust theirs.pem
      tidegate bundle import digits.tar
    """
    asked = asked_of(key, roots, is_required=require_openssf)
    found, is_new = transport.take_in(find_root(), path, asked)
    if as_json:
        print_json({**verified_json(found), "is_new": is_new})
    else:
        say_verified(found, "imported" if is_new else "here already")


def asked_of(key: Path | None, roots: tuple[Path, ...], *, is_required: bool) -> transport.Asked:
    """Whom the options say to believe; UsageError for two answers."""
    if key and roots:
        raise UsageError(
            "bundle", "both --openssf-key and --openssf-root, expected one", hint="leave one out"
        )
    return transport.Asked(key, roots, is_required)


def verified_json(found: Verified) -> dict[str, Any]:
    """What was verified, for programs."""
    bundle = found.bundle
    return {
        "bundle": bundle.digest,
        "files": len(bundle.parts),
        "key": bundle.key,
        "commit": _commit(found),
        "parts": {name: part.sha256 for name, part in bundle.manifest.files.items()},
        "subjects": found.subjects,
        "verified": found.verified,
        "unverified": found.unverified,
    }


def say_verified(found: Verified, word: str) -> None:
    """What was verified, a line each."""
    bundle = found.bundle
    say(f"bundle {short(bundle.digest)}: {len(bundle.parts)} files as recorded, {word}", bold=True)
    for name, part in sorted(bundle.manifest.files.items()):
        say(f"  sha256      {short(part.sha256)}  {name}")
    say(f"  signed      {f'by trusted key {short(bundle.key)}' if bundle.key else 'by nobody, allowed here'}")
    if found.subjects is not None:
        say(f"  provenance  speaks of these {found.subjects} files, commit {short(_commit(found)) or 'none'}")
    for name in found.verified:
        say(f"  verified    {name}")
    for name in found.unverified:
        say(f"  not judged  {name}: name who must have signed it with --openssf-key or --openssf-root")


def _commit(found: Verified) -> str:
    data = found.bundle.parts.get(PROVENANCE)
    return read_provenance(data, where=f"bundle {short(found.bundle.digest)}").commit if data else ""
