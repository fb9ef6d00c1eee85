"""`tidegate bundle keys`: whose signature is believed here."""

from pathlib import Path

import click

from tidegate.cli.output import json_option, print_json, print_table, say, short
from tidegate.registry.keys import fingerprint, list_keys, public_pem, signing_key
from tidegate.registry.keys import revoke as revoke_key
from tidegate.registry.keys import trust as trust_key
from tidegate.store.files import write_atomic
from tidegate.store.layout import Layout, find_root


@click.group("keys")
def keys() -> None:
    """List, exchange and revoke the keys that sign bundles.

    \b
    Example:
      tidegate bundle keys export ours.pem
      tidegate bundle keys trust theirs.pem
    """


@keys.command("ls")
@json_option
def ls(*, as_json: bool) -> None:
    """List the public keys here: believed or revoked, and which of them signs.

    \b
    Example:
      tidegate bundle keys ls
    """
    found = list_keys(_folder())
    if as_json:
        print_json([one._asdict() for one in found])
        return
    rows = [(short(one.fingerprint), one.state, "signs here" if one.signs else "") for one in found]
    print_table(("key", "state", ""), rows)


@keys.command("trust")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def trust(file: Path, *, as_json: bool) -> None:
    """Believe what the public key in FILE signs from now on, also one that was revoked.

    Compare the fingerprint with its owner, on another way than the file came.

    \b
    Example:
      tidegate bundle keys trust theirs.pem
    """
    name = trust_key(_folder(), file)
    if as_json:
        print_json({"key": name, "state": "trusted"})
    else:
        say(f"key {name}: trusted")


@keys.command("revoke")
@click.argument("key")
@json_option
def revoke(key: str, *, as_json: bool) -> None:
    """No longer believe the KEY (the start of its fingerprint is enough): what it signed is refused from now on.

    \b
    Example:
      tidegate bundle keys revoke 4f0c
    """
    name = revoke_key(_folder(), key)
    if as_json:
        print_json({"key": name, "state": "revoked"})
    else:
        say(f"key {name}: revoked, bundles that it signed are refused until they are signed anew")


@keys.command("export")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
def export(file: Path | None, *, as_json: bool) -> None:
    """Write the public half of this project's key to FILE, or print it; the key is made at first use.

    \b
    Example:
      tidegate bundle keys export ours.pem
    """
    public = signing_key(_folder()).public_key()
    pem, name = public_pem(public), fingerprint(public)
    if file:
        write_atomic(file, pem)
    if as_json:
        print_json({"key": name, "public": pem.decode()})
    else:
        say(f"key {name}: its public half is in {file}" if file else pem.decode().rstrip())


def _folder() -> Path:
    return Layout(find_root()).keys
