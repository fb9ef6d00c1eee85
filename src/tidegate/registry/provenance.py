"""Where a bundle comes from, as an in-toto statement with SLSA provenance that other tools read too.

The subjects are the bundle's other files. Formats: https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tidegate.errors import CorruptError
from tidegate.registry.pack import Manifest

PROVENANCE = "provenance.json"
ENVIRONMENT = "environment.txt"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:tidegate:pipeline:v1"
BUILDER = "urn:tidegate:builder:v1"
MD5 = "md5"
# how DVC names what it knows of a path
KINDS = (MD5, "md5-dos2unix", "etag", "checksum")
_FOLDER = re.compile(r"[0-9a-f]{32}\.dir")

Command = str | list[str]


class Run(msgspec.Struct, frozen=True):
    """The run that made the model: its id in the ledger, and when it began and ended (RFC 3339)."""

    id: str
    started: str
    ended: str


class Provenance(msgspec.Struct, frozen=True):
    """Where a bundle comes from.

    `params` maps `file:key` to a value, `deps` and `outs` a path to its hash, which is an md5 unless `kinds` says
    otherwise, `commands` a stage to what it runs. `source` is the repository's URL; `run` is None when the
    ledger knows none that made this model.
    """

    commit: str
    uncommitted_changes: bool
    params: dict[str, Any]
    deps: dict[str, str]
    outs: dict[str, str]
    source: str = ""
    commands: dict[str, Command] = {}
    kinds: dict[str, str] = {}
    run: Run | None = None
    builder: str = ""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What the parts of a statement have in common: SLSA's spelling, and empty means absent."""


class Resource(_Part, frozen=True):
    """A thing by its digest; a directory's name ends with a slash, its md5 is that of DVC's listing of it."""

    name: str = ""
    uri: str = ""
    digest: dict[str, str] = {}
    annotations: dict[str, Any] = {}


class _External(_Part, frozen=True):
    params: dict[str, Any] = {}
    commands: dict[str, Command] = {}


class _Definition(_Part, frozen=True):
    build_type: str
    external_parameters: _External
    resolved_dependencies: tuple[Resource, ...]


class _Builder(_Part, frozen=True):
    id: str
    version: dict[str, str] = {}


class _Metadata(_Part, frozen=True):
    invocation_id: str = ""
    started_on: str = ""
    finished_on: str = ""


class _Details(_Part, frozen=True):
    builder: _Builder
    metadata: _Metadata = _Metadata()
    byproducts: tuple[Resource, ...] = ()


class _Predicate(_Part, frozen=True):
    build_definition: _Definition
    run_details: _Details


class Statement(_Part, frozen=True):
    """The statement as it is written."""

    type_: str = msgspec.field(name="_type")
    subject: tuple[Resource, ...]
    predicate_type: str
    predicate: _Predicate


def render_statement(provenance: Provenance, subjects: Mapping[str, str]) -> bytes:
    """The statement that these files, by name with their SHA-256, come from there; the same gives the same bytes."""
    predicate = _Predicate(_definition(provenance, subjects), _details(provenance))
    statement = Statement(STATEMENT_TYPE, _by_sha256(subjects), PREDICATE_TYPE, predicate)
    return msgspec.json.format(msgspec.json.encode(statement, order="sorted")) + b"\n"


def read_provenance(data: bytes, *, where: str) -> Provenance:
    """Where a bundle comes from, by its provenance file, also by one in the form before in-toto."""
    found = _parse(data, where=where)
    return found if isinstance(found, Provenance) else _read(found)


def check_subjects(data: bytes, manifest: Manifest, *, where: str) -> int | None:
    """How many files the statement speaks of, which must be the bundle's other files as they are.

    None for a provenance in the form before in-toto, which speaks of none. Raises CorruptError for another bundle's.
    """
    found = _parse(data, where=where)
    if isinstance(found, Provenance):
        return None
    files = {name: part.sha256 for name, part in manifest.files.items() if name != PROVENANCE}
    if found.subject != _by_sha256(files):
        raise CorruptError(where, f"{PROVENANCE} speaks of other files than this bundle's, refusing to load")
    return len(found.subject)


def _parse(data: bytes, *, where: str) -> Statement | Provenance:
    try:
        is_statement = "_type" in msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        kind: type[Statement | Provenance] = Statement if is_statement else Provenance
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(where, f"{PROVENANCE} is none, {error}") from None
    if isinstance(found, Statement) and (found.type_, found.predicate_type) != (
        STATEMENT_TYPE,
        PREDICATE_TYPE,
    ):
        raise CorruptError(
            where, f"{PROVENANCE} states `{found.predicate_type}`, expected `{PREDICATE_TYPE}`"
        )
    return found


def _definition(provenance: Provenance, subjects: Mapping[str, str]) -> _Definition:
    environment = {name: digest for name, digest in subjects.items() if name == ENVIRONMENT}
    needs = (*_source(provenance), *_by_sha256(environment), *_files(provenance.deps, provenance.kinds))
    return _Definition(BUILD_TYPE, _External(provenance.params, provenance.commands), needs)


def _details(provenance: Provenance) -> _Details:
    run, version = provenance.run, provenance.builder
    return _Details(
        _Builder(BUILDER, {"tidegate": version} if version else {}),
        _Metadata(run.id, run.started, run.ended) if run else _Metadata(),
        tuple(_files(provenance.outs, provenance.kinds)),
    )


def _source(provenance: Provenance) -> Iterable[Resource]:
    """The commit; without one nothing, also not whether there are changes to it."""
    if provenance.commit:
        notes = {"uncommitted_changes": provenance.uncommitted_changes}
        yield Resource("source", provenance.source, {"gitCommit": provenance.commit}, notes)


def _by_sha256(files: Mapping[str, str]) -> tuple[Resource, ...]:
    return tuple(Resource(name, digest={"sha256": files[name]}) for name in sorted(files))


def _files(hashes: Mapping[str, str], kinds: Mapping[str, str]) -> Iterable[Resource]:
    """What is known of these paths by DVC's hashes; what has none yet says nothing."""
    for path in sorted(filter(hashes.get, hashes)):
        value, kind = hashes[path], kinds.get(path, MD5)
        is_folder = kind in KINDS[:2] and _FOLDER.fullmatch(value)
        name, value = (f"{path}/", value.removesuffix(".dir")) if is_folder else (path, value)
        yield Resource(name, digest={kind: value})


def _read(statement: Statement) -> Provenance:
    definition, details = statement.predicate.build_definition, statement.predicate.run_details
    needs, made = definition.resolved_dependencies, details.byproducts
    source = next((one for one in needs if "gitCommit" in one.digest), Resource())
    ran = details.metadata
    return Provenance(
        commit=source.digest.get("gitCommit", ""),
        uncommitted_changes=source.annotations.get("uncommitted_changes") is True,
        params=definition.external_parameters.params,
        deps=_hashes(needs),
        outs=_hashes(made),
        source=source.uri,
        commands=definition.external_parameters.commands,
        kinds={_path(one): kind for one in (*needs, *made) for kind in one.digest if kind in KINDS[1:]},
        run=Run(ran.invocation_id, ran.started_on, ran.finished_on) if ran.invocation_id else None,
        builder=details.builder.version.get("tidegate", ""),
    )


def _hashes(files: Iterable[Resource]) -> dict[str, str]:
    known = ((one, value) for one in files for kind, value in one.digest.items() if kind in KINDS)
    return {_path(one): f"{value}.dir" if one.name.endswith("/") else value for one, value in known}


def _path(file: Resource) -> str:
    return file.name.removesuffix("/")
