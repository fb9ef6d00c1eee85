"""`tidegate bundle`: what a release consists of, the proof that no byte of it has changed, and its way elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import click

from tidegate.cli import bundle_keys, bundle_move
from tidegate.cli.bundle_move import asked_of, openssf_options, say_verified, verified_json
from tidegate.cli.output import json_option, print_json, print_table, say, short
from tidegate.data.params import ABSENT
from tidegate.flow.transport import open_here
from tidegate.flow.transport import sign as sign_bundle
from tidegate.flow.transport import verify as verify_bundle
from tidegate.pipeline.explain import changed_values
from tidegate.registry.load import bundle_digests
from tidegate.registry.provenance import PROVENANCE, Provenance, read_provenance
from tidegate.store.layout import Layout, find_root
from tidegate.store.ledger import open_ledger


@click.group("bundle")
def command() -> None:
    """Show, verify, sign, export or import a bundle.

    \b
    Example:
      tidegate bundle ls
      tidegate bundle verify 9b1e
      tidegate bundle export 9b1e digits.tar
    """


@command.command("ls")
@json_option
def ls(*, as_json: bool) -> None:
    """List the bundles here, with the version under which each is registered.

    \b
    Example:
      tidegate bundle ls
    """
    layout = Layout(find_root())
    with open_ledger(layout.ledger) as ledger:
        state = ledger.state()
    live = state.live.bundle if state.live else ""
    found = [(digest, state.version_of(digest)) for digest in bundle_digests(layout.bundles)]
    if as_json:
        print_json(
            [
                {"bundle": digest, "version": version and version.version, "is_live": digest == live}
                for digest, version in found
            ]
        )
        return
    rows = [
        (short(digest), version.version if version else "-", "live" if digest == live else "")
        for digest, version in found
    ]
    print_table(("bundle", "version", ""), rows)


@command.command("show")
@click.argument("digest")
@json_option
def show(digest: str, *, as_json: bool) -> None:
    """Print where a bundle (the start of its DIGEST is enough) comes from and what it holds.

    \b
    Example:
      tidegate bundle show 9b1e
    """
    bundle = open_here(find_root(), digest)
    provenance = read_provenance(bundle.read(PROVENANCE), where=f"bundle {short(bundle.digest)}")
    if as_json:
        files = {name: part.sha256 for name, part in bundle.manifest.files.items()}
        print_json({"bundle": bundle.digest, "key": bundle.key, "files": files, "provenance": provenance})
        return
    say(f"bundle {bundle.digest}", bold=True)
    say(f"  model   {bundle.manifest.name}")
    say(f"  signed  {f'by key {short(bundle.key)}' if bundle.key else 'by nobody'}")
    for word, text in _origin(provenance):
        say(f"  {word:<7} {text}")
    for name, part in sorted(bundle.manifest.files.items()):
        say(f"  file    {short(part.sha256)}  {part.size:>9,} bytes  {name}")


@command.command("verify")
@click.argument("bundle")
@openssf_options
@json_option
def verify(
    bundle: str, *, key: Path | None, roots: tuple[Path, ...], require_openssf: bool, as_json: bool
) -> None:
    """Recompute every digest and check every signature; exit code 6 when something differs.

    BUNDLE is the start of a digest, or the path of an exported bundle.

    \b
    Example:
      tidegate bundle verify 9b1e
      tidegate bundle verify digits.tar --openssf-key theirs.pub.pem
    """
    found = verify_bundle(find_root(), bundle, asked_of(key, roots, is_required=require_openssf))
    if as_json:
        print_json(verified_json(found))
    else:
        say_verified(found, "verified")


@command.command("sign")
@click.argument("digest")
@click.option("--key", type=click.Path(path_type=Path), help="Sign with the Ed25519 key in this file.")
@json_option
def sign(digest: str, *, key: Path | None, as_json: bool) -> None:
    """Sign a bundle anew, in the place of the signature it has; the key that signs is trusted from then on.

    \b
    Example:
      tidegate bundle sign 9b1e
      tidegate bundle sign 9b1e --key release.pem
    """
    signed = sign_bundle(find_root(), digest, key)
    if as_json:
        print_json({"bundle": signed.digest, "key": signed.key})
    else:
        say(f"bundle {short(signed.digest)}: signed by key {short(signed.key)}")


def _origin(provenance: Provenance) -> Iterator[tuple[str, str]]:
    """Where a bundle comes from, a line each."""
    dirty = " with uncommitted changes" if provenance.uncommitted_changes else ""
    source = f" of {provenance.source}" if provenance.source else ""
    yield "commit", f"{provenance.commit or 'none'}{source}{dirty}"
    if provenance.run:
        yield "run", f"{provenance.run.id}, {provenance.run.started} to {provenance.run.ended}"
    if provenance.builder:
        yield "builder", f"tidegate {provenance.builder}"
    for stage, command in provenance.commands.items():
        lines = [command] if isinstance(command, str) else command
        yield "stage", f"{stage}: {'; '.join(' '.join(line.split()) for line in lines)}"
    for name, values in sorted(provenance.params.items()):
        for path, _, value in changed_values(name, ABSENT, values):
            yield "param", f"{path} = {value}"
    for path, value in sorted(provenance.deps.items()):
        yield "dep", f"{short(value)}  {path}"


command.add_command(bundle_move.export)
command.add_command(bundle_move.import_)
command.add_command(bundle_keys.keys)
