"""Provenance: what goes into a statement comes out of it, and it speaks of its own bundle."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import CorruptError
from tidegate.registry.pack import parse_manifest, render_manifest
from tidegate.registry.provenance import (
    PROVENANCE,
    Provenance,
    Run,
    check_subjects,
    read_provenance,
    render_statement,
)
from tidegate.store.files import sha256_bytes

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
FULL = Provenance(
    commit="ab" * 20,
    uncommitted_changes=True,
    params={"params.yaml:lr": 0.1, "params.yaml:train": {"trees": 10, "sizes": [1, None, "x"]}},
    deps={"raw": f"{MD5}.dir", "src/train.py": MD5, "s3://bucket/key": "5d41-2"},
    outs={"model.onnx": MD5},
    source="git+https://example.com/team/tiny.git",
    commands={"train": "python train.py", "report": ["a", "b"]},
    kinds={"s3://bucket/key": "etag"},
    run=Run("r1", "2026-11-24T12:00:00Z", "2026-11-24T12:00:05Z"),
    builder="1.2.3",
)
PARTS = {"model.onnx": b"weights", "environment.txt": b"numpy==2\n"}
SUBJECTS = {name: sha256_bytes(data) for name, data in PARTS.items()}
PATHS = st.text("ab/.", min_size=1, max_size=6).filter(lambda path: not path.endswith("/"))
HASHES = st.dictionaries(PATHS, st.sampled_from([MD5, f"{MD5}.dir", "0" * 32]), max_size=4)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def manifest_of(parts):
    return parse_manifest(render_manifest("tiny", parts), where="here")


@pytest.mark.parametrize("provenance", [FULL, Provenance("", False, {}, {}, {})], ids=["full", "empty"])
def test_what_goes_in_comes_out(provenance: Provenance) -> None:
    assert read_provenance(render_statement(provenance, SUBJECTS), where="here") == provenance


@given(
    params=st.dictionaries(st.text(), JSON, max_size=3),
    deps=HASHES,
    outs=HASHES,
    commands=st.dictionaries(st.text(), st.text(min_size=1) | st.lists(st.text(), min_size=1), max_size=2),
)
def test_any_provenance_survives_the_statement(params, deps, outs, commands) -> None:
    made = Provenance("ab" * 20, False, params, deps, outs, commands=commands)
    assert read_provenance(render_statement(made, SUBJECTS), where="here") == made


def test_the_statement_has_the_fields_that_the_standards_name() -> None:
    found = json.loads(render_statement(FULL, SUBJECTS))
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [
        {"name": name, "digest": {"sha256": SUBJECTS[name]}} for name in sorted(SUBJECTS)
    ]
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert definition["buildType"] == "urn:tidegate:pipeline:v1"
    assert definition["externalParameters"] == {"params": FULL.params, "commands": FULL.commands}
    needs = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert needs["source"] == {
        "name": "source",
        "uri": FULL.source,
        "digest": {"gitCommit": FULL.commit},
        "annotations": {"uncommitted_changes": True},
    }
    assert needs["environment.txt"]["digest"] == {"sha256": SUBJECTS["environment.txt"]}
    assert needs["raw/"]["digest"] == needs["src/train.py"]["digest"] == {"md5": MD5}
    assert needs["s3://bucket/key"]["digest"] == {"etag": "5d41-2"}
    assert details["builder"] == {"id": "urn:tidegate:builder:v1", "version": {"tidegate": "1.2.3"}}
    assert details["metadata"] == {
        "invocationId": "r1",
        "startedOn": "2026-11-24T12:00:00Z",
        "finishedOn": "2026-11-24T12:00:05Z",
    }
    assert details["byproducts"] == [{"name": "model.onnx", "digest": {"md5": MD5}}]


def test_the_same_provenance_gives_the_same_bytes_in_any_order() -> None:
    turned = msgspec.structs.replace(FULL, deps=dict(reversed(FULL.deps.items())))
    assert render_statement(turned, dict(reversed(SUBJECTS.items()))) == render_statement(FULL, SUBJECTS)


def test_a_path_without_a_hash_says_nothing() -> None:
    made = msgspec.structs.replace(FULL, deps={"never-made": ""}, kinds={})
    assert read_provenance(render_statement(made, SUBJECTS), where="here").deps == {}


def test_a_bundle_from_before_still_tells_where_it_comes_from() -> None:
    old = b'{"commit":"abc","deps":{"a":"1"},"outs":{},"params":{"p:x":1},"uncommitted_changes":true}'
    assert read_provenance(old, where="here") == Provenance("abc", True, {"p:x": 1}, {"a": "1"}, {})
    assert check_subjects(old, manifest_of({**PARTS, PROVENANCE: old}), where="here") is None


def test_a_statement_speaks_of_the_other_files_of_its_bundle() -> None:
    statement = render_statement(FULL, SUBJECTS)
    assert check_subjects(statement, manifest_of({**PARTS, PROVENANCE: statement}), where="here") == 2


@pytest.mark.parametrize(
    "parts", [{"model.onnx": b"other"}, {**PARTS, "more": b""}, {"model.onnx": b"weights"}]
)
def test_a_statement_about_another_bundle_is_refused(parts) -> None:
    statement = render_statement(FULL, SUBJECTS)
    with pytest.raises(CorruptError, match="speaks of other files than this bundle's"):
        check_subjects(statement, manifest_of({**parts, PROVENANCE: statement}), where="here")


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"{}", b'{"_type": 3}', b'{"_type": "x", "subject": []}']
)
def test_what_is_no_provenance_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError, match=r"^here: provenance\.json is none"):
        read_provenance(data, where="here")


def test_a_statement_of_another_kind_is_refused() -> None:
    other = render_statement(FULL, SUBJECTS).replace(b"provenance/v1", b"provenance/v2")
    with pytest.raises(CorruptError, match=r"expected `https://slsa\.dev/provenance/v1`"):
        read_provenance(other, where="here")
