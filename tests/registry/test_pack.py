"""Packing: the same parts give the same bundle, whole or not at all."""

import json
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import CorruptError
from tidegate.registry import pack as packing
from tidegate.registry.load import bundle_digests, open_bundle
from tidegate.registry.pack import MANIFEST, pack, parse_manifest, render_manifest
from tidegate.registry.sign import SIGNATURE
from tidegate.store.files import sha256_bytes

PACK_WHEN_TOLD = """
import sys
from pathlib import Path
from tidegate.registry.pack import pack
print("up", flush=True)
sys.stdin.readline()
root = Path(sys.argv[1])
print(pack(root / "bundles", root / "keys", {"a": b"1", "b": b"2"}, name="small"))
"""
PARTS = st.dictionaries(st.text("abc.", min_size=1, max_size=4), st.binary(max_size=8), max_size=5)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def left(bundles: Path) -> list[str]:
    """What lies among the bundles and is none."""
    return sorted(path.name for path in bundles.iterdir() if path.name.startswith(".") and path.is_dir())


def test_a_bundle_is_named_by_its_manifest_which_names_every_part(bundles: Path, keys: Path, parts) -> None:
    digest = pack(bundles, keys, parts(), name="small")
    found = contents(bundles / digest)
    assert sha256_bytes(found[MANIFEST]) == digest
    assert found.keys() == {*parts(), MANIFEST, SIGNATURE}
    assert json.loads(found[MANIFEST]) == {
        "format": 1,
        "name": "small",
        "files": {name: {"sha256": sha256_bytes(data), "size": len(data)} for name, data in parts().items()},
    }


def test_the_same_parts_give_the_same_digest_and_bytes_anywhere(tmp_path: Path, keys: Path, parts) -> None:
    turned = dict(reversed(parts().items()))
    one, other = (
        pack(tmp_path / to, keys, some, name="small") for to, some in (("a", parts()), ("b", turned))
    )
    assert one == other
    assert contents(tmp_path / "a" / one) == contents(tmp_path / "b" / other)


def test_the_digest_does_not_depend_on_who_signs(tmp_path: Path, parts) -> None:
    made = {pack(tmp_path / who, tmp_path / f"keys-{who}", parts(), name="small") for who in "ab"}
    assert len(made) == 1


def test_packing_twice_leaves_the_first_bundle_as_it_is(bundles: Path, keys: Path, parts) -> None:
    digest = pack(bundles, keys, parts(), name="small")
    before = {path.name: path.stat() for path in (bundles / digest).iterdir()}
    assert pack(bundles, keys, parts(), name="small") == digest
    assert {path.name: path.stat() for path in (bundles / digest).iterdir()} == before
    assert bundle_digests(bundles) == [digest]


@pytest.mark.parametrize(
    "changed", [{"model.onnx": b"weights."}, {"more.txt": b""}, {"labels.json": b'["a"]'}]
)
def test_any_other_part_gives_another_bundle(bundles: Path, keys: Path, parts, changed) -> None:
    one = pack(bundles, keys, parts(), name="small")
    other = pack(bundles, keys, {**parts(), **changed}, name="small")
    assert bundle_digests(bundles) == sorted({one, other})
    assert len({one, other}) == 2


def test_another_name_gives_another_bundle(bundles: Path, keys: Path, parts) -> None:
    assert pack(bundles, keys, parts(), name="a") != pack(bundles, keys, parts(), name="b")


def test_files_are_read_only_and_the_folder_can_be_entered(bundles: Path, keys: Path, parts) -> None:
    digest = pack(bundles, keys, parts(), name="small")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (bundles / digest).iterdir()}
    assert not any(mode & 0o222 for mode in modes)
    assert stat.S_IMODE((bundles / digest).stat().st_mode) == 0o755


@pytest.mark.parametrize("again", [True, False], ids=["packed before", "never packed"])
def test_what_a_killed_process_left_is_swept(bundles: Path, keys: Path, parts, again) -> None:
    if again:
        pack(bundles, keys, parts(), name="small")
    (bundles / ".packing-x1y2").mkdir(parents=True)
    (bundles / ".packing-x1y2" / "model.onnx").write_bytes(b"wei")
    digest = pack(bundles, keys, parts(), name="small")
    assert left(bundles) == []
    assert open_bundle(bundles, digest, keys=keys, require=True).read("model.onnx") == b"weights"


def test_a_write_that_fails_leaves_no_bundle_and_the_next_one_succeeds(
    bundles: Path, keys: Path, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, data: bytes) -> None:
        path.write_bytes(data[:3])
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write_final", fail)
        with pytest.raises(OSError, match="disk is full"):
            pack(bundles, keys, parts(), name="small")
    assert bundle_digests(bundles) == []
    digest = pack(bundles, keys, parts(), name="small")
    assert (bundle_digests(bundles), left(bundles)) == ([digest], [])


def test_processes_that_pack_the_same_parts_at_once_make_one_bundle(tmp_path: Path, at_once) -> None:
    said = at_once(PACK_WHEN_TOLD, tmp_path)
    assert [*said] == bundle_digests(tmp_path / "bundles")
    assert open_bundle(tmp_path / "bundles", said.pop(), keys=tmp_path / "keys", require=True)


@given(parts=PARTS, name=st.text(max_size=5))
def test_a_manifest_is_read_as_it_was_written_and_depends_on_the_parts_alone(parts, name) -> None:
    text = render_manifest(name, parts)
    assert render_manifest(name, dict(reversed(parts.items()))) == text
    manifest = parse_manifest(text, where="here")
    assert (manifest.format, manifest.name, manifest.files.keys()) == (1, name, parts.keys())
    assert all(part.size == len(parts[at]) for at, part in manifest.files.items())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "manifest.json is none"),
        (b"\xff", "manifest.json is none"),
        (b'{"format": 1, "name": "a"}', "missing required field `files`"),
        (b'{"format": 1, "name": "a", "files": {}, "more": 1}', "unknown field `more`"),
        (b'{"format": 2, "name": "a", "files": {}}', "manifest.json has format 2, expected 1"),
    ],
)
def test_a_manifest_that_this_version_does_not_understand_is_refused(text, problem) -> None:
    with pytest.raises(CorruptError, match=problem) as caught:
        parse_manifest(text, where="bundle 9b1e")
    assert caught.value.where == "bundle 9b1e"
    assert msgspec.json.encode(caught.value.as_dict())
