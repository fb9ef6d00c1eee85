"""Export and import: what arrives is what was signed, and nothing else is kept."""

import json
import os
import socket
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import ConflictError, CorruptError, NotFoundError
from tidegate.registry import receive as receiving
from tidegate.registry.archive import write_archive
from tidegate.registry.dsse import ENVELOPE, seal
from tidegate.registry.keys import adopt, revoke, signing_key, trust
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.pack import MANIFEST, pack, render_manifest
from tidegate.registry.provenance import PROVENANCE, Provenance, render_statement
from tidegate.registry.receive import Trust
from tidegate.registry.sign import SIGNATURE, sign, sign_with
from tidegate.registry.transport import export_bundle, import_bundle, replace_signature, verify_export
from tidegate.store.files import sha256_bytes

PARTS = {"model.onnx": b"weights", "labels.json": b"[]"}
SUBJECTS = {name: sha256_bytes(data) for name, data in PARTS.items()}
STATEMENT = render_statement(Provenance("ab" * 20, False, {}, {}, {}), SUBJECTS)


@pytest.fixture
def bundle(bundles: Path, keys: Path) -> Bundle:
    digest = pack(bundles, keys, {**PARTS, PROVENANCE: STATEMENT}, name="tiny")
    return open_bundle(bundles, digest, keys=keys, require=True)


@pytest.fixture
def there(tmp_path: Path, bundle: Bundle, keys: Path) -> tuple[Path, Trust]:
    """Another machine's bundles, and its keys: it trusts ours."""
    (tmp_path / "there").mkdir()
    trust(tmp_path / "their-keys", next((keys / "trusted").iterdir()))
    return tmp_path / "there", Trust(tmp_path / "their-keys", True)


@pytest.fixture
def exported(bundle: Bundle, keys: Path, tmp_path: Path) -> Path:
    """An export in a folder."""
    export_bundle(bundle, tmp_path / "out", keys=keys)
    return tmp_path / "out"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(source: Path, there: tuple[Path, Trust]) -> CorruptError:
    """The import fails, and leaves nothing behind."""
    bundles, believed = there
    with pytest.raises(CorruptError) as caught:
        import_bundle(source, bundles, believed)
    assert [path.name for path in bundles.iterdir()] == [".lock"]
    return caught.value


def forged(folder: Path, parts: dict[str, bytes], key: Ed25519PrivateKey, name: str = "tiny") -> Path:
    """An export that its forger signed."""
    folder.mkdir()
    manifest = render_manifest(name, parts)
    for file, data in {**parts, MANIFEST: manifest, SIGNATURE: sign_with(key, manifest)}.items():
        (folder / file).write_bytes(data)
    return folder


@pytest.mark.parametrize("name", ["out", "out.tar"])
def test_an_export_arrives_as_the_bundle_it_was(bundle, keys, tmp_path, there, name) -> None:
    files = export_bundle(bundle, tmp_path / name, keys=keys)
    assert files == (MANIFEST, SIGNATURE, "labels.json", "model.onnx", ENVELOPE, PROVENANCE)
    found, is_new = import_bundle(tmp_path / name, *there)
    assert is_new
    assert (found.subjects, found.verified, found.unverified) == (2, (ENVELOPE,), ())
    assert found.bundle.path == there[0] / bundle.digest
    assert contents(found.bundle.path) == contents(bundle.path)
    assert found.bundle.path.stat().st_mode & 0o777 == 0o755
    again, is_new = import_bundle(tmp_path / name, *there)
    assert (again.bundle.digest, is_new) == (bundle.digest, False)


def test_the_same_bundle_gives_the_same_archive(bundle, keys, tmp_path) -> None:
    for name in ("a.tar", "b.tar"):
        export_bundle(bundle, tmp_path / name, keys=keys)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_an_archive_unpacked_by_hand_is_an_export_too(bundle, keys, tmp_path, there) -> None:
    export_bundle(bundle, tmp_path / "a.tar", keys=keys)
    with tarfile.open(tmp_path / "a.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert import_bundle(tmp_path / "unpacked", *there)[1]


def test_verifying_an_export_keeps_nothing(exported, there) -> None:
    found = verify_export(exported, there[1])
    assert (found.subjects, list(there[0].iterdir())) == (2, [])


def test_what_is_there_is_never_overwritten(bundle, keys, tmp_path) -> None:
    (tmp_path / "a.tar").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("a.tar", "dangling"):
        with pytest.raises(ConflictError, match="exists already"):
            export_bundle(bundle, tmp_path / name, keys=keys)
    assert (tmp_path / "a.tar").read_text() == "mine"
    assert not list(tmp_path.glob(".exporting-*"))


def test_a_bundle_signed_by_another_is_exported_without_our_word_on_its_provenance(
    exported, there, tmp_path
) -> None:
    bundles, believed = there
    found, _ = import_bundle(exported, bundles, believed)
    signing_key(believed.keys)
    assert ENVELOPE not in export_bundle(found.bundle, tmp_path / "onward", keys=believed.keys)
    assert verify_export(tmp_path / "onward", believed).bundle.key == found.bundle.key


def test_a_signer_who_is_not_trusted_or_no_longer_is_refused(exported, there, tmp_path) -> None:
    nobody = Trust(tmp_path / "no-keys", True)
    assert "which is not trusted here" in refused(exported, (there[0], nobody)).message
    revoke(there[1].keys, verify_export(exported, there[1]).bundle.key)
    assert "which is not trusted here" in refused(exported, there).message


def test_an_unsigned_export_is_refused_unless_none_is_required(exported, there) -> None:
    (exported / SIGNATURE).unlink()
    assert refused(exported, there).message == "no signature, one is required"
    (exported / ENVELOPE).unlink()
    assert import_bundle(exported, there[0], there[1]._replace(require=False))[0].bundle.key == ""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda out: (out / "model.onnx").write_bytes(b"wEights"), "`model.onnx` differs from its manifest"),
        (
            lambda out: (out / "model.onnx").write_bytes(b"weight"),
            "`model.onnx` has 6 bytes, its manifest says 7",
        ),
        (lambda out: (out / "model.onnx").unlink(), "`model.onnx` is missing"),
        (lambda out: (out / "model.onnx").rename(out / "model.onn"), "`model.onn` is not in its manifest"),
        (lambda out: (out / "more.txt").write_text(""), "`more.txt` is not in its manifest"),
        (lambda out: (out / ".hidden").write_text(""), "`.hidden` is not in its manifest"),
        (lambda out: (out / MANIFEST).unlink(), "`signature.json` comes first, expected `manifest.json`"),
        (lambda out: (out / MANIFEST).write_text("{}"), "manifest.json is none"),
        (lambda out: (out / SIGNATURE).write_text("{}"), "signature.json is no signature"),
        (lambda out: (out / ENVELOPE).write_text("{}\n"), "no envelope with one signature"),
        (lambda out: (out / "folder").mkdir(), "`folder` is no file"),
        (lambda out: os.mkfifo(out / "pipe"), "`pipe` is no file"),
        (lambda out: (out / "link").symlink_to("model.onnx"), "`link` is no readable file"),
        (lambda out: os.truncate(out / "labels.json", 1 << 40), "`labels.json` has 1,099,511,627,776 bytes"),
        (lambda out: os.truncate(out / MANIFEST, 1 << 40), "`manifest.json` has 1,099,511,627,776 bytes"),
    ],
)
def test_each_kind_of_tampering_is_refused_by_name(exported, there, change, problem) -> None:
    change(exported)
    assert refused(exported, there).exit_code == 6
    with pytest.raises(CorruptError, match=problem):
        verify_export(exported, there[1])


def test_a_socket_is_no_file(exported, there, monkeypatch) -> None:
    monkeypatch.chdir(exported)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert "`sock` is no readable file" in refused(exported, there).message


def test_two_files_swapped_are_refused(exported, there) -> None:
    for one, other in (("model.onnx", "x"), ("labels.json", "model.onnx"), ("x", "labels.json")):
        (exported / one).rename(exported / other)
    assert "`labels.json` has 7 bytes" in refused(exported, there).message


@pytest.mark.parametrize("name", ["../up", "/etc/x", ".hidden", "a\nb", "", "n" * 101, SIGNATURE, ENVELOPE])
def test_a_name_that_is_none_for_a_part_is_refused_even_if_signed(tmp_path, there, name) -> None:
    key = Ed25519PrivateKey.generate()
    adopt(there[1].keys, key)
    manifest = render_manifest("tiny", {name: b"x"})
    folder = tmp_path / "forged"
    folder.mkdir()
    (folder / MANIFEST).write_bytes(manifest)
    (folder / SIGNATURE).write_bytes(sign_with(key, manifest))
    assert "cannot be a file of a bundle" in refused(folder, there).message


def test_sizes_below_zero_do_not_make_room_for_others(tmp_path, there) -> None:
    folder = tmp_path / "forged"
    folder.mkdir()
    text = render_manifest("tiny", {"a": b"", "b": b""}).replace(b'"size": 0', b'"size": -1')
    (folder / MANIFEST).write_bytes(text)
    assert "'a' cannot be a file of a bundle" in refused(folder, there).message


def test_too_many_or_too_large_files_are_refused_before_any_is_read(tmp_path, there, monkeypatch) -> None:
    key = Ed25519PrivateKey.generate()
    adopt(there[1].keys, key)
    source = forged(tmp_path / "forged", PARTS, key)
    monkeypatch.setattr(receiving, "MAX_FILES", 1)
    assert "2 files of 9 bytes, at most 1 of" in refused(source, there).message
    monkeypatch.setattr(receiving, "MAX_FILES", 2)
    monkeypatch.setattr(receiving, "MAX_BYTES", 8)
    assert "at most 2 of 8 are imported" in refused(source, there).message


def test_a_provenance_of_another_bundle_is_refused_even_if_signed(tmp_path, there) -> None:
    key = Ed25519PrivateKey.generate()
    adopt(there[1].keys, key)
    other = {**PARTS, "model.onnx": b"another", PROVENANCE: STATEMENT}
    assert "speaks of other files" in refused(forged(tmp_path / "forged", other, key), there).message


def test_an_envelope_of_another_provenance_is_refused_even_if_signed(exported, there, keys) -> None:
    (exported / ENVELOPE).write_bytes(seal(signing_key(keys), STATEMENT.replace(b"abab", b"cdcd")))
    assert "holds another provenance than the bundle" in refused(exported, there).message


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 2, 2), (0, 1, 1, 2)])
def test_files_in_another_order_or_twice_are_refused(tmp_path, bundle, keys, there, order) -> None:
    files = [bundle.path / name for name in (MANIFEST, SIGNATURE, "labels.json", "model.onnx", PROVENANCE)]
    with (tmp_path / "a.tar").open("wb") as target:
        write_archive(target, [*(files[at] for at in order), files[4]])
    refused(tmp_path / "a.tar", there)


def test_nothing_at_the_path_is_not_found(tmp_path, there) -> None:
    with pytest.raises(NotFoundError, match="nothing there, expected an exported bundle"):
        import_bundle(tmp_path / "none.tar", *there)


def test_an_import_clears_away_what_a_killed_one_left(exported, there) -> None:
    left = there[0] / ".packing-left" / "x"
    left.mkdir(parents=True)
    import_bundle(exported, *there)
    assert not left.parent.exists()


def test_a_damaged_bundle_that_is_here_is_not_called_imported(exported, there) -> None:
    found, _ = import_bundle(exported, *there)
    (found.bundle.path / "model.onnx").chmod(0o644)
    (found.bundle.path / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(CorruptError, match="differs from its manifest"):
        import_bundle(exported, *there)


def test_another_signature_takes_the_place_of_the_first(bundle, bundles, keys) -> None:
    other = Ed25519PrivateKey.generate()
    adopt(keys, other)
    manifest = (bundle.path / MANIFEST).read_bytes()
    signed = replace_signature(bundles, bundle.digest, sign_with(other, manifest), keys=keys)
    assert signed.key != bundle.key
    assert (signed.parts, signed.digest) == (bundle.parts, bundle.digest)
    assert sorted(path.name for path in bundles.iterdir()) == [".lock", bundle.digest]
    assert (bundle.path / "model.onnx").stat().st_nlink == 1


def test_a_damaged_bundle_is_not_signed(bundle, bundles, keys) -> None:
    (bundle.path / "model.onnx").chmod(0o644)
    (bundle.path / "model.onnx").write_bytes(b"damaged")
    before = contents(bundle.path)
    signature = sign(keys, (bundle.path / MANIFEST).read_bytes())
    with pytest.raises(CorruptError, match="differs from its manifest"):
        replace_signature(bundles, bundle.digest, signature, keys=keys)
    assert contents(bundle.path) == before


def test_a_manifest_of_another_format_is_refused(exported, there) -> None:
    text = json.loads((exported / MANIFEST).read_text()) | {"format": 2}
    (exported / MANIFEST).write_text(json.dumps(text))
    assert "has format 2, expected 1" in refused(exported, there).message
