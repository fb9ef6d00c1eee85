"""From the artifact of a project to the parts of a bundle: as ONNX where that says the same, else as it came."""

import contextlib
import math
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from tidegate.data.contract import parse_contract
from tidegate.data.tables import read_table
from tidegate.domain.model import Answer
from tidegate.errors import NotFoundError, TidegateError, UsageError
from tidegate.project import Config
from tidegate.registry.columns import table_rows, text_columns
from tidegate.registry.formats import (
    FORMATS,
    MODEL,
    ONNX,
    PREDICTOR,
    RECORD,
    Attempt,
    RuntimeRecord,
    artifact_part,
    format_of,
    render_record,
)
from tidegate.registry.load import CONTRACT, Bundle
from tidegate.registry.model import LoadedModel, open_model, require_pickle
from tidegate.registry.pack import FORMAT, Manifest
from tidegate.registry.parity import (
    as_rows,
    count_different,
    example_rows,
    largest_difference,
    make_example,
)
from tidegate.registry.runtime.wire import MODULE

if TYPE_CHECKING:
    import numpy as np

    from tidegate.registry.runtime.model import RemoteModel

PRECISIONS = ("float32", "float64")
NAME = f"{MODEL}.onnx"

Said = tuple[list[Answer], Any]


class Shipped(NamedTuple):
    """The model's parts of a bundle, and what a person should know of how they came about."""

    parts: dict[str, bytes]
    notes: tuple[str, ...]


class Case(NamedTuple):
    """An artifact to ship: the parts it came as, their record, the contract, and the rows that it is tried on."""

    config: Config
    parts: dict[str, bytes]
    record: RuntimeRecord
    contract: bytes
    rows: "np.ndarray"


class Trial(NamedTuple):
    """A conversion: what came of it, and the ONNX file if anything."""

    attempt: Attempt
    model: bytes = b""


def ship_model(config: Config, root: Path, *, contract: bytes) -> Shipped:
    """The parts that hold the project's model, tried on the held-out rows, or the reference's without any.

    A model that is not ONNX is converted as `[model]` says; how often the two disagree is told. Raises
    NotFoundError without the artifact and UsageError for one that cannot be served.
    """
    case = _open_case(config, root, contract)
    require_pickle(case.record.format, config.runtime, where=case.record.source)
    with _model(case, case.record, case.parts) as model:
        case = case._replace(record=_made_with(case.record, model))
        trials = _try_conversions(case, model)
        case = case._replace(record=replace(case.record, tried=tuple(trial.attempt for trial in trials)))
        best = _best(trials, config)
        if best is None:
            return _shipped(case, model, note=_kept(case, trials))
    record = replace(case.record, format=ONNX, name=NAME)
    case = case._replace(record=record, parts={NAME: best.model})
    with _model(case, record, case.parts) as model:
        case = case._replace(record=_made_with(record, model))
        told = f"{record.source} -> ONNX ({best.attempt.precision}), {_tell(best.attempt)}"
        return _shipped(case, model, note=told)


def _open_case(config: Config, root: Path, contract: bytes) -> Case:
    settings = config.model
    form = format_of(settings.path, settings.predictor)
    name = (
        settings.predictor.rpartition(":")[2]
        if form == PREDICTOR
        else MODEL + Path(settings.path).suffix.lower()
    )
    table = config.data.heldout if (root / config.data.heldout).is_file() else settings.reference
    rows = table_rows(parse_contract(contract.decode(), CONTRACT), read_table(root / table), where=table)
    if not len(rows):
        raise UsageError(table, "no rows, the model is tried on them", hint="tidegate repro")
    files = _predictor_files(config, root) if form == PREDICTOR else {name: _read(root, settings.path)}
    record = RuntimeRecord(
        form, name, Path(settings.path).name, {"python": platform.python_version()}, table=table
    )
    return Case(config, files, record, contract, rows)


def _predictor_files(config: Config, root: Path) -> dict[str, bytes]:
    """The class's file and its artifacts: one file, or all in a folder."""
    source = config.model.predictor.rpartition(":")[0]
    path = root / config.model.path
    below = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else []
    artifacts = {
        str(file.relative_to(path)): file.read_bytes() for file in below if "__pycache__" not in file.parts
    }
    if not path.is_dir():
        artifacts = {path.name: _read(root, config.model.path)}
    parts = {artifact_part(name): data for name, data in artifacts.items()}
    return {MODULE: _read(root, source, key="model.predictor"), **parts}


def _read(root: Path, name: str, *, key: str = "model.path") -> bytes:
    try:
        return (root / name).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        hint = f"run `tidegate repro`, or set {key}"
        raise NotFoundError(name, "no such file, a bundle needs it", hint=hint) from None


@contextlib.contextmanager
def _model(case: Case, record: RuntimeRecord, parts: dict[str, bytes]) -> Iterator[LoadedModel]:
    """The model of parts that are no bundle yet, asked for classes without names."""
    given = {**parts, CONTRACT: case.contract}
    bundle = Bundle("candidate", Path(), Manifest(FORMAT, "", {}), given, "")
    try:
        model = open_model(bundle, record, labels=(), settings=case.config.runtime)
    except UsageError as error:
        where = case.record.source if error.where.startswith("bundle") else error.where
        raise UsageError(where, error.message, hint=error.hint) from None
    with contextlib.closing(model):
        yield model


def _made_with(record: RuntimeRecord, model: LoadedModel) -> RuntimeRecord:
    return replace(record, versions={**record.versions, **model.versions})


def _try_conversions(case: Case, native: LoadedModel) -> list[Trial]:
    from tidegate.registry.runtime.model import RemoteModel

    is_wanted = case.config.model.convert != "never" and case.record.format != PREDICTOR
    if not (is_wanted and isinstance(native, RemoteModel)):
        return []
    said = native.predict(case.rows)
    return [_try(case, native, said, precision=precision) for precision in PRECISIONS]


def _try(case: Case, native: "RemoteModel", said: Said, *, precision: str) -> Trial:
    """Convert and compare; whatever goes wrong is the reason why there is no such graph."""
    try:
        made = native.remote.convert(precision)
        with _model(case, RuntimeRecord(ONNX, NAME, "", {}), {NAME: made}) as model:
            answers, scores = model.predict(case.rows)
    except TidegateError as error:
        return Trial(Attempt(precision, reason=error.message))
    differ = count_different(said[0], answers, tolerance=case.config.model.tolerance)
    apart = largest_difference(said[1], scores)
    if apart == math.inf:
        return Trial(Attempt(precision, differ, len(answers), reason="it gives other scores"))
    return Trial(Attempt(precision, differ, len(answers), apart), made)


def _best(trials: Sequence[Trial], config: Config) -> Trial | None:
    """The conversion with the fewest differences that keeps the limits, float32 before float64; None without any."""
    fit = [trial for trial in trials if trial.model and _is_within(trial.attempt, config)]
    return min(fit, key=lambda trial: trial.attempt.differ, default=None)


def _is_within(attempt: Attempt, config: Config) -> bool:
    is_close = attempt.largest <= config.model.tolerance
    return is_close and attempt.differ <= config.model.max_disagreements * attempt.n


def _kept(case: Case, trials: Sequence[Trial]) -> str:
    """That a model ships as it came, and why; UsageError where the project wants ONNX."""
    source, form = case.record.source, case.record.format
    if form == ONNX:
        return f"{source}, ONNX as it came"
    if form == PREDICTOR:
        return f"{case.config.model.predictor}, Python in a process of its own"
    why = "; ".join(f"{trial.attempt.precision}: {_tell(trial.attempt)}" for trial in trials)
    told = f"{source} stays {FORMATS[form].title}" + (f", as ONNX {why}" if why else "")
    if case.config.model.convert == "require":
        raise UsageError(
            "model.convert", told, hint="allow for it with model.max_disagreements, or set `auto`"
        )
    return told


def _tell(attempt: Attempt) -> str:
    if attempt.reason:
        return attempt.reason
    return f"{attempt.differ} of {attempt.n} answers differ, largest score difference {attempt.largest:.1g}"


def _shipped(case: Case, model: LoadedModel, *, note: str) -> Shipped:
    """The parts and their record, with an example that this very model has answered."""
    cells = example_rows(case.rows)
    rows = as_rows(cells, has_text=bool(text_columns(model.bundle.contract)))
    example = make_example(cells, model.predict(rows), tolerance=case.config.model.tolerance)
    record = replace(case.record, example=example)
    return Shipped({**case.parts, RECORD: render_record(record)}, (note,))
