"""The forms that a model ships in, and the record of a bundle that says which one it is and how it answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.domain import Record
from tidegate.domain.model import Answer
from tidegate.errors import CorruptError, UsageError, did_you_mean
from tidegate.registry.load import Bundle

RECORD = "runtime.json"
ONNX = "onnx"
PREDICTOR = "predictor"
MODEL = "model"
ARTIFACT = "artifact."

Cell = float | str | None


class Format(NamedTuple):
    """A form of model: what people call it, the platform it is told as, and the extra that brings its packages."""

    title: str
    platform: str
    extra: str
    is_code: bool = False


FORMATS = {
    ONNX: Format("ONNX", "onnx_onnxv1", "serve"),
    "skops": Format("scikit-learn", "sklearn_skops", "sklearn"),
    "xgboost": Format("XGBoost", "xgboost_booster", "xgboost"),
    "lightgbm": Format("LightGBM", "lightgbm_booster", "lightgbm"),
    "pickle": Format("a pickle", "python_pickle", "sklearn", is_code=True),
    "joblib": Format("a joblib pickle", "python_joblib", "sklearn", is_code=True),
    PREDICTOR: Format("a predictor", "python_predictor", "serve", is_code=True),
}
SUFFIXES = {
    ".onnx": ONNX,
    ".skops": "skops",
    ".json": "xgboost",
    ".ubj": "xgboost",
    ".txt": "lightgbm",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "joblib",
}


class Attempt(Record, frozen=True):
    """One conversion: how many of the answers on the rows of `table` differ, and by how much a score at most.

    Without a graph `reason` says why there is none.
    """

    precision: str
    differ: int = 0
    n: int = 0
    largest: float = 0.0
    reason: str = ""


class Example(Record, frozen=True):
    """Rows, and what the model said to them when it was bundled, classes unnamed."""

    rows: tuple[tuple[Cell, ...], ...]
    answers: tuple[Answer | None, ...]
    scores: tuple[tuple[float | None, ...], ...]
    tolerance: float


class RuntimeRecord(Record, frozen=True):
    """`runtime.json`: the form, the file or class to begin with, and what it was made from and with.

    `tried` are the conversions to ONNX, of `rows` of `table`.
    """

    format: str
    name: str
    source: str
    versions: dict[str, str]
    example: Example | None = None
    tried: tuple[Attempt, ...] = ()
    table: str = ""


def format_of(path: str, predictor: str = "") -> str:
    """The form of the file at `path`, by its suffix; UsageError for an unknown one."""
    if predictor:
        return PREDICTOR
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        near = did_you_mean(suffix, SUFFIXES) or f", expected one of {', '.join(SUFFIXES)}"
        hint = "or name a class of your own with model.predictor"
        raise UsageError("model.path", f"unknown kind of model `{suffix or path}`{near}", hint=hint)
    return SUFFIXES[suffix]


def read_record(bundle: Bundle) -> RuntimeRecord:
    """What a bundle says of its model; one without a record holds ONNX.

    Raises CorruptError for a record that this version does not understand.
    """
    if RECORD not in bundle.parts:
        return RuntimeRecord(ONNX, f"{MODEL}.onnx", "", {})
    where = f"bundle {bundle.digest[:12]}"
    try:
        record = msgspec.json.decode(bundle.read(RECORD), type=RuntimeRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(where, f"{RECORD} is none, {error}") from None
    if record.format not in FORMATS:
        raise CorruptError(where, f"{RECORD} names the unknown format `{record.format}`")
    return record


def render_record(record: RuntimeRecord) -> bytes:
    """The record's bytes, the same for the same record."""
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=0) + b"\n"


def artifact_part(path: str) -> str:
    """The name of the part that holds a predictor's artifact: a bundle has no folders."""
    from urllib.parse import quote

    return ARTIFACT + quote(path, safe="")


def artifacts_of(parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """A predictor's artifacts by path."""
    from urllib.parse import unquote

    return {
        unquote(name.removeprefix(ARTIFACT)): data
        for name, data in parts.items()
        if name.startswith(ARTIFACT)
    }
