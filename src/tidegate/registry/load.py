"""From a bundle to a model, by the one loader: every byte is verified before any of it is used."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tidegate.data.contract import Column, Contract, parse_contract
from tidegate.data.contract.rules import Items, argument_of
from tidegate.data.contract.say import NAMES
from tidegate.errors import CorruptError, NotFoundError, UsageError, missing_extra
from tidegate.registry.pack import MANIFEST, Manifest, Part, parse_manifest
from tidegate.registry.sign import SIGNATURE, verify
from tidegate.store.files import sha256_bytes

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

MODEL = "model.onnx"
CONTRACT = "contract.odcs.yaml"
LABELS = "labels.json"
NUMERIC = ("number", "integer", "boolean")
DATATYPES = {"tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(int64)": "INT64"}
ANSWER_TYPES = {
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT64",
    "tensor(bool)": "INT64",
    "tensor(string)": "BYTES",
}
NUMPY_TYPES = {"FP32": "float32", "FP64": "float64", "INT64": "int64"}

Answer = str | int | float


class Bundle(NamedTuple):
    """A verified bundle; `parts` are the very bytes that were verified, `key` signed them ("" if nobody)."""

    digest: str
    path: Path
    manifest: Manifest
    parts: Mapping[str, bytes]
    key: str

    def read(self, name: str) -> bytes:
        """The bytes of one part; NotFoundError for a name that the bundle does not hold."""
        if name not in self.parts:
            raise NotFoundError(
                f"bundle {self.digest[:12]}", f"no part `{name}`", hint="tidegate bundle show"
            )
        return self.parts[name]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the class indices; empty when the model answers with names itself."""
        return msgspec.json.decode(self.read(LABELS), type=tuple[str, ...])

    @property
    def contract(self) -> Contract:
        """The columns that the model is asked with."""
        return parse_contract(self.read(CONTRACT).decode(), CONTRACT)


def open_bundle(bundles: Path, digest: str, *, keys: Path, require: bool) -> Bundle:
    """Read and verify a whole bundle.

    Raises NotFoundError for an unknown digest; CorruptError when a byte differs, a file is missing or
    foreign, or no trusted key signed it (a missing signature is allowed when `require` is false).
    """
    path = bundles / digest
    where = f"bundle {digest[:12]}"
    if not digest or not path.is_dir():
        raise NotFoundError(where, "no such bundle here", hint="tidegate bundle ls")
    files = {file.name: _read(file, where) for file in sorted(path.iterdir())}
    text = files.pop(MANIFEST, b"")
    if sha256_bytes(text) != digest:
        raise CorruptError(where, f"`{MANIFEST}` differs from the bundle's name, refusing to load")
    signature = files.pop(SIGNATURE, None)
    manifest = parse_manifest(text, where=where)
    _check_files(files, manifest.files, where)
    if signature is None and require:
        raise CorruptError(where, "no signature, one is required", hint="tidegate config show sign")
    key = "" if signature is None else verify(keys, text, signature, where=where)
    return Bundle(digest, path, manifest, files, key)


def read_manifest(bundles: Path, digest: str) -> Manifest:
    """The manifest of a bundle that has been verified before."""
    return parse_manifest((bundles / digest / MANIFEST).read_bytes(), where=f"bundle {digest[:12]}")


def find_bundle(bundles: Path, prefix: str) -> str:
    """The digest that begins with `prefix`; NotFoundError unless there is exactly one."""
    found = [digest for digest in bundle_digests(bundles) if digest.startswith(prefix)]
    if len(found) != 1:
        problem = f"`{prefix}` begins {len(found)} digests here, it must begin one"
        raise NotFoundError("bundle", problem, hint="tidegate bundle ls")
    return found[0]


def bundle_digests(bundles: Path) -> list[str]:
    """The digests of all bundles here, sorted."""
    return sorted(path.name for path in bundles.glob("*") if path.is_dir() and path.name[0] != ".")


class OnnxModel:
    """A model in memory: one inference session on one thread."""

    def __init__(
        self, bundle: Bundle, session: "onnxruntime.InferenceSession", *, labels: Sequence[str]
    ) -> None:
        tensor = session.get_inputs()[0]
        self.bundle = bundle
        self.digest = bundle.digest
        self.columns = matrix_columns(bundle.contract)
        self.input_name: str = tensor.name
        self.datatype = DATATYPES[tensor.type]
        self.answer_type = "BYTES" if labels else ANSWER_TYPES.get(session.get_outputs()[0].type, "FP64")
        self._dtype = NUMPY_TYPES[self.datatype]
        self._labels = len(labels)
        self._names: dict[Answer, str] = {}
        for index, name in enumerate(labels):
            self._names |= {index: name, str(index): name}
        self._session = session
        self._outputs = _outputs(session)

    def predict(self, rows: "np.ndarray") -> "tuple[list[Answer], np.ndarray]":
        """Answers and class scores [n, classes] (no classes when the model gives none) for rows [n, columns].

        Raises UsageError when the model fails on these rows, gives them other than one answer each, or
        answers a class that has no name.
        """
        asked = self._cast(rows)
        try:
            found = self._session.run(self._outputs, {self.input_name: asked})
        except Exception as error:  # onnxruntime raises bare classes of its C layer
            raise UsageError("model", f"failed on these rows: {' '.join(str(error).split())}") from None
        if found[0].shape != (len(rows),):
            shape = f"`{self._outputs[0]}` has shape {list(found[0].shape)} for {len(rows)} rows"
            raise UsageError("model", f"{shape}, expected one answer each")
        # booleans are the classes 0 and 1
        answers: list[Answer] = (found[0] + 0 if found[0].dtype == bool else found[0]).tolist()
        scores = found[1] if len(found) > 1 else rows[:, :0]
        return (self._named(answers) if self._names else answers), scores

    def _cast(self, rows: "np.ndarray") -> "np.ndarray":
        """The rows in the model's type; UsageError when it takes whole numbers and one is none."""
        import numpy as np

        with np.errstate(invalid="ignore"):
            asked = rows.astype(self._dtype, copy=False)
        if self.datatype == "INT64" and not np.array_equal(asked, rows):
            raise UsageError("model", "takes whole numbers, found others in these rows")
        return asked

    def _named(self, answers: Sequence[Answer]) -> list[Answer]:
        try:
            return [self._names[answer] for answer in answers]
        except KeyError as error:
            known = f"`model.labels` names {self._labels} classes"
            raise UsageError("model", f"answered {error.args[0]!r}, {known}") from None


def load_model(bundle: Bundle, *, named: bool = True) -> OnnxModel:
    """The bundle's model, ready to answer; with `named` class indices become the bundle's labels.

    Raises UsageError for a model that cannot be asked with the contract's columns.
    """
    labels = bundle.labels if named else ()
    session = open_session(bundle.read(MODEL), where=f"bundle {bundle.digest[:12]}")
    _check_input(session, bundle)
    return OnnxModel(bundle, session, labels=labels)


def open_session(model: bytes, *, where: str) -> "onnxruntime.InferenceSession":
    """An inference session over the bytes of an ONNX file; UsageError when they are none."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise missing_extra("loading a model", "serve") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare classes of its C layer
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(where, f"{MODEL} cannot be loaded, {line}") from None


def _check_input(session: "onnxruntime.InferenceSession", bundle: Bundle) -> None:
    inputs = session.get_inputs()
    where = f"bundle {bundle.digest[:12]}"
    if len(inputs) != 1 or inputs[0].type not in DATATYPES or len(inputs[0].shape) != 2:
        expected = "expected one 2-dimensional tensor of numbers"
        types = ", ".join(tensor.type for tensor in inputs) or "nothing"
        raise UsageError(where, f"{MODEL} takes {types}, {expected}")
    width, columns = inputs[0].shape[1], len(matrix_columns(bundle.contract))
    if isinstance(width, int) and width != columns:
        raise UsageError(
            where, f"{MODEL} takes {width} columns, {CONTRACT} names {columns}", hint="mend the contract"
        )


def matrix_columns(contract: Contract, where: str = CONTRACT) -> tuple[str, ...]:
    """The columns of the matrix that the features make, the items of an array numbered as in `pixels[3][0]`.

    Raises UsageError for a feature that is no number, boolean or array of a known shape of them.
    """
    return tuple(name for column in contract.columns for name in _names_of(column, where))


def _names_of(column: Column, where: str) -> Iterator[str]:
    items: Items | None = argument_of(column, "items")
    kind, shape = (column.kind, ()) if items is None else (items.kind, items.shape)
    if kind not in NUMERIC or -1 in shape:
        found = f"feature `{column.name}` is {NAMES[column.kind]}"
        found += " of any length" if -1 in shape else f" of {kind}s" if items else ""
        hint = "encode it in the pipeline, or set `tidegate.role: other`"
        raise UsageError(where, f"{found}, the model takes numbers", hint=hint)
    for index in product(*map(range, shape)):
        yield column.name + "".join(f"[{i}]" for i in index)


def _outputs(session: "onnxruntime.InferenceSession") -> list[str]:
    """The names of the answers' and, if there is one, the scores' output."""
    found = session.get_outputs()
    scores = [out.name for out in found[1:] if out.type in DATATYPES and len(out.shape) == 2]
    return [found[0].name, *scores[:1]]


def _read(path: Path, where: str) -> bytes:
    if not path.is_file() or path.is_symlink():
        raise CorruptError(where, f"`{path.name}` is no file, refusing to load")
    return path.read_bytes()


def _check_files(files: Mapping[str, bytes], expected: Mapping[str, Part], where: str) -> None:
    for name in sorted(files.keys() | expected.keys()):
        if name not in files:
            raise CorruptError(where, f"`{name}` is missing, refusing to load")
        if name not in expected:
            raise CorruptError(where, f"`{name}` is not in its manifest, refusing to load")
        if sha256_bytes(files[name]) != expected[name].sha256:
            raise CorruptError(where, f"`{name}` differs from its manifest, refusing to load")
