"""`tidegate bundle`: what a release consists of, and the proof that no byte of it has changed."""

import json

import click

from tidegate.cli.output import json_option, print_json, print_table, say, short
from tidegate.data.params import ABSENT
from tidegate.pipeline.explain import changed_values
from tidegate.project import load_config
from tidegate.registry.load import Bundle, bundle_digests, find_bundle, open_bundle
from tidegate.store.layout import Layout, find_root
from tidegate.store.ledger import open_ledger


@click.group("bundle")
def command() -> None:
    """Show or verify a bundle.

    \b
    Example:
      tidegate bundle ls
      tidegate bundle verify 9b1e
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
    bundle = _open(digest)
    provenance = json.loads(bundle.read("provenance.json"))
    if as_json:
        files = {name: part.sha256 for name, part in bundle.manifest.files.items()}
        print_json({"bundle": bundle.digest, "key": bundle.key, "files": files, "provenance": provenance})
        return
    dirty = " with uncommitted changes" if provenance["uncommitted_changes"] else ""
    say(f"bundle {bundle.digest}", bold=True)
    say(f"  model   {bundle.manifest.name}")
    say(f"  commit  {provenance['commit'] or 'none'}{dirty}")
    say(f"  signed  {f'by key {short(bundle.key)}' if bundle.key else 'by nobody'}")
    for name, values in sorted(provenance["params"].items()):
        for path, _, value in changed_values(name, ABSENT, values):
            say(f"  param   {path} = {value}")
    for name, part in sorted(bundle.manifest.files.items()):
        say(f"  file    {short(part.sha256)}  {part.size:>9,} bytes  {name}")


@command.command("verify")
@click.argument("digest")
@json_option
def verify(digest: str, *, as_json: bool) -> None:
    """Recompute every digest and check the signature; exit code 6 when something differs.

    \b
    Example:
      tidegate bundle verify 9b1e
    """
    bundle = _open(digest)
    if as_json:
        print_json({"bundle": bundle.digest, "files": len(bundle.parts), "key": bundle.key})
        return
    signed = (
        f"signed by trusted key {short(bundle.key)}" if bundle.key else "not signed, which is allowed here"
    )
    say(f"bundle {short(bundle.digest)}: {len(bundle.parts)} files as recorded, {signed}")


def _open(prefix: str) -> Bundle:
    root = find_root()
    layout, require = Layout(root), load_config(root).sign.require
    return open_bundle(layout.bundles, find_bundle(layout.bundles, prefix), keys=layout.keys, require=require)
