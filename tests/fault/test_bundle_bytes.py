"""A thousand changed bytes, in a bundle at rest and on its way: each is refused before anything is loaded."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.errors import CorruptError
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.openssf import MODEL_SIGNATURE, own_judge, own_signer
from tidegate.registry.pack import pack
from tidegate.registry.provenance import PROVENANCE, Provenance, render_statement
from tidegate.registry.receive import Trust
from tidegate.registry.transport import export_bundle, verify_export
from tidegate.store.files import sha256_bytes

CHANGES = 1000
PARTS = {
    "model.onnx": bytes(range(256)) * 8,
    "contract.odcs.yaml": b"apiVersion: v3.0.2\nkind: DataContract\n",
    "environment.txt": b"# Python 3.11.0\nnumpy==2.0.0\n",
    "labels.json": b'["cat", "dog"]',
    "policy.toml": b'[project]\nname = "tiny"\n',
    "empty.txt": b"",
}

Refuses = Callable[[], None]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def bundle(tmp_path: Path, keys: Path) -> Bundle:
    subjects = {name: sha256_bytes(data) for name, data in PARTS.items()}
    made = Provenance("ab" * 20, False, {"params.yaml:lr": 0.1}, {"raw": "0" * 32}, {})
    parts = {**PARTS, PROVENANCE: render_statement(made, subjects)}
    digest = pack(tmp_path / "bundles", keys, parts, name="tiny")
    return open_bundle(tmp_path / "bundles", digest, keys=keys, require=True)


@pytest.fixture
def believed(keys: Path) -> Trust:
    """Our own keys, the one for OpenSSF included."""
    own_signer(keys)
    return Trust(keys, True, own_judge(keys))


@pytest.fixture
def at_rest(bundle: Bundle, keys: Path) -> tuple[Path, Refuses]:
    """The bundle's folder, and what must not open it any more."""
    where = bundle.path.parent
    for path in bundle.path.iterdir():
        path.chmod(0o644)
    return bundle.path, lambda: _refused(lambda: open_bundle(where, bundle.digest, keys=keys, require=True))


@pytest.fixture
def on_its_way(bundle: Bundle, keys: Path, tmp_path: Path, believed: Trust) -> tuple[Path, Refuses]:
    """An export with every signature there is, and what must not take it in."""
    folder = tmp_path / "out"
    export_bundle(bundle, folder, keys=keys, signer=own_signer(keys))
    return folder, lambda: _refused(lambda: verify_export(folder, believed))


def _refused(act: Callable[[], object]) -> None:
    with pytest.raises(CorruptError) as caught:
        act()
    assert caught.value.exit_code == 6


def change_bytes(folder: Path, refuses: Refuses, seed: int) -> None:
    """Change one byte at a time, each file as often, at any place and to any value."""
    draw = random.Random(seed)
    paths = [path for path in sorted(folder.iterdir()) if path.stat().st_size]
    for number in range(CHANGES):
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        at = draw.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([(whole[at] + draw.randrange(1, 256)) % 256]) + whole[at + 1 :])
        refuses()
        path.write_bytes(whole)


def test_a_thousand_changed_bytes_of_a_bundle_are_refused(at_rest: tuple[Path, Refuses]) -> None:
    change_bytes(*at_rest, seed=1)


@pytest.mark.slow
def test_a_thousand_changed_bytes_of_an_export_are_refused(on_its_way: tuple[Path, Refuses]) -> None:
    change_bytes(*on_its_way, seed=2)


@pytest.mark.slow
def test_a_thousand_changed_bytes_of_an_archive_are_refused(
    bundle: Bundle, keys: Path, tmp_path: Path, believed: Trust
) -> None:
    path = tmp_path / "out" / "bundle.tar"
    export_bundle(bundle, path, keys=keys, signer=own_signer(keys))
    change_bytes(path.parent, lambda: _refused(lambda: verify_export(path, believed)), seed=3)


@pytest.mark.parametrize("place", ["at_rest", "on_its_way"])
def test_cut_longer_emptied_and_swapped_files_are_refused(place: str, request: pytest.FixtureRequest) -> None:
    folder, refuses = request.getfixturevalue(place)
    whole = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    for path, data in whole.items():
        others = [other for other in whole.values() if other != data]
        for changed in (data[:-1], data[: len(data) // 2], data + b"\0", data + b"\n", b"", *others):
            if changed != data:
                path.write_bytes(changed)
                refuses()
        path.write_bytes(data)


@pytest.mark.parametrize("place", ["at_rest", "on_its_way"])
def test_missing_renamed_and_added_files_are_refused(place: str, request: pytest.FixtureRequest) -> None:
    folder, refuses = request.getfixturevalue(place)
    for path in sorted(folder.iterdir()):
        for aside in (folder.parent / "aside", folder / f"{path.name}.bak", folder / path.name.upper()):
            if path.name == "provenance.intoto.jsonl" and aside.parent != folder:
                # it may be left out: the bundle's own signature covers the same statement
                continue
            path.rename(aside)
            refuses()
            aside.rename(path)
    for name in (".hidden", "model.onnx.bak", "signature.json.1"):
        (folder / name).write_bytes(b"")
        refuses()
        (folder / name).unlink()
    (folder / "folder").mkdir()
    refuses()


@pytest.mark.parametrize("place", ["at_rest", "on_its_way"])
def test_a_link_in_the_place_of_a_file_is_refused(place: str, request: pytest.FixtureRequest) -> None:
    folder, refuses = request.getfixturevalue(place)
    for path in sorted(folder.iterdir()):
        aside = folder.parent / "aside"
        path.rename(aside)
        path.symlink_to(aside)
        refuses()
        path.unlink()
        aside.rename(path)


def test_the_parts_of_two_bundles_do_not_mix(
    on_its_way: tuple[Path, Refuses], bundle: Bundle, keys: Path, tmp_path: Path
) -> None:
    folder, refuses = on_its_way
    parts = {**bundle.parts, "labels.json": b'["cat", "eel"]'}
    other = pack(tmp_path / "bundles", keys, parts, name="tiny")
    for name in ("labels.json", "manifest.json", "signature.json"):
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        shutil.copy(tmp_path / "bundles" / other / name, folder / name)
        refuses()
        (folder / name).unlink()
        (folder / name).write_bytes(whole)
    assert (folder / MODEL_SIGNATURE).exists()
