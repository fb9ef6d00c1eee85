"""Opening bundles: every byte is verified before any of it is used."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.errors import CorruptError, NotFoundError
from tidegate.registry.load import (
    bundle_digests,
    find_bundle,
    open_bundle,
    read_manifest,
)
from tidegate.registry.pack import MANIFEST, pack
from tidegate.registry.sign import SIGNATURE

PARTS = ("model.onnx", "contract.odcs.yaml", "labels.json")
FLIPS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def digest(bundles: Path, keys: Path, parts) -> str:
    """A packed bundle's digest."""
    return pack(bundles, keys, parts(), name="small")


def opened(bundles: Path, digest: str, require: bool = True):
    return open_bundle(bundles, digest, keys=bundles.parent / "keys", require=require)


def refused(bundles: Path, digest: str, require: bool = True) -> str:
    """What is said about a bundle that may not be opened."""
    with pytest.raises(CorruptError) as caught:
        opened(bundles, digest, require)
    assert caught.value.where == f"bundle {digest[:12]}"
    return caught.value.message


def write(path: Path, data: bytes) -> None:
    """Replace a file that nobody may write."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def test_an_opened_bundle_holds_what_was_packed_and_says_who_signed(bundles, digest, parts) -> None:
    bundle = opened(bundles, digest)
    assert (bundle.digest, bundle.path, bundle.parts) == (digest, bundles / digest, parts())
    assert bundle.read("model.onnx") == b"weights"
    assert len(bundle.key) == 64
    assert bundle.manifest == read_manifest(bundles, digest)
    assert [column.name for column in bundle.contract.columns] == ["x0", "x1"]


def test_a_part_that_a_bundle_does_not_hold_is_not_found(bundles, digest) -> None:
    with pytest.raises(NotFoundError, match=f"^bundle {digest[:12]}: no part `policy.toml`$"):
        opened(bundles, digest).read("policy.toml")


@pytest.mark.parametrize("name", ["", "0" * 64, "manifest.json"])
def test_an_unknown_digest_is_not_found(bundles, digest, name) -> None:
    with pytest.raises(NotFoundError, match="no such bundle here"):
        opened(bundles, name)


@pytest.mark.parametrize("name", [*PARTS, MANIFEST, SIGNATURE])
@FLIPS
@given(data=st.data())
def test_any_flipped_byte_is_refused_by_the_name_of_its_file(bundles, digest, name, data) -> None:
    path = bundles / digest / name
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    flip = data.draw(st.integers(1, 255))
    write(path, before[:at] + bytes([before[at] ^ flip]) + before[at + 1 :])
    said = refused(bundles, digest)
    write(path, before)
    assert opened(bundles, digest)
    assert name in said or (name == SIGNATURE and "is not trusted here" in said)
    assert said.endswith("refusing to load")


@pytest.mark.parametrize("name", [*PARTS, MANIFEST])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\n", lambda data: b""])
def test_a_shorter_longer_or_empty_file_is_refused(bundles, digest, name, change) -> None:
    path = bundles / digest / name
    write(path, change(path.read_bytes()))
    assert f"`{name}` differs from" in refused(bundles, digest)


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_file_is_named(bundles, digest, name) -> None:
    (bundles / digest / name).unlink()
    assert refused(bundles, digest) == f"`{name}` is missing, refusing to load"


def test_a_missing_manifest_is_refused(bundles, digest) -> None:
    (bundles / digest / MANIFEST).unlink()
    assert refused(bundles, digest) == "`manifest.json` differs from the bundle's name, refusing to load"


@pytest.mark.parametrize("name", ["more.txt", ".hidden", "model.onnx.bak"])
def test_a_file_that_the_manifest_does_not_name_is_refused(bundles, digest, name) -> None:
    (bundles / digest / name).write_bytes(b"")
    assert refused(bundles, digest) == f"`{name}` is not in its manifest, refusing to load"


@pytest.mark.parametrize("name", [*PARTS, MANIFEST, SIGNATURE])
def test_a_link_is_refused_even_to_the_same_bytes(bundles, digest, name, tmp_path) -> None:
    path = bundles / digest / name
    path.rename(tmp_path / name)
    path.symlink_to(tmp_path / name)
    assert refused(bundles, digest) == f"`{name}` is no file, refusing to load"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_unread(bundles, digest, make) -> None:
    make(bundles / digest / "more")
    assert refused(bundles, digest) == "`more` is no file, refusing to load"


def test_a_bundle_under_another_bundles_name_is_refused(bundles, digest) -> None:
    shutil.copytree(bundles / digest, bundles / ("0" * 64))
    assert "differs from the bundle's name" in refused(bundles, "0" * 64)


def test_a_missing_signature_is_allowed_only_where_none_is_required(bundles, digest) -> None:
    (bundles / digest / SIGNATURE).unlink()
    assert refused(bundles, digest) == "no signature, one is required"
    assert opened(bundles, digest, require=False).key == ""


@pytest.mark.parametrize("require", [True, False])
def test_a_signature_that_is_there_must_be_a_trusted_one(bundles, keys, digest, require) -> None:
    for public in (keys / "trusted").iterdir():
        public.unlink()
    assert "which is not trusted here" in refused(bundles, digest, require)
    write(bundles / digest / SIGNATURE, b"{}")
    assert "is no signature" in refused(bundles, digest, require)


def test_a_bundle_is_found_by_the_start_of_its_digest(bundles, keys, parts) -> None:
    made = sorted(pack(bundles, keys, parts(str(n).encode()), name="small") for n in range(20))
    assert bundle_digests(bundles) == made
    assert [find_bundle(bundles, digest[:12]) for digest in made] == made
    assert find_bundle(bundles, made[0]) == made[0]


@pytest.mark.parametrize(("prefix", "found"), [("", 3), ("ab", 2), ("abd", None), ("b", None), ("abcdef", 0)])
def test_a_prefix_must_begin_exactly_one_digest(bundles, prefix, found) -> None:
    for name in ("abc1", "abd2", "b3", ".packing-ab"):
        (bundles / name).mkdir(parents=True)
    (bundles / "abcd").write_text("no bundle")
    if found is None:
        assert find_bundle(bundles, prefix).startswith(prefix)
        return
    with pytest.raises(NotFoundError) as caught:
        find_bundle(bundles, prefix)
    assert str(caught.value) == f"bundle: `{prefix}` begins {found} digests here, it must begin one"


def test_where_nothing_was_packed_there_are_no_bundles(bundles) -> None:
    assert bundle_digests(bundles) == []
