"""Models in ONNX, which hold no code: run in this process on one thread."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidegate.data.contract.bounds import make_slots
from tidegate.domain import TensorSpec
from tidegate.domain.model import Answer
from tidegate.errors import UsageError, missing_extra
from tidegate.registry.columns import require_numbers, row_columns
from tidegate.registry.load import CONTRACT, Bundle
from tidegate.registry.lone import Lone, make_lone
from tidegate.registry.named import Names

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

MODEL = "model.onnx"
DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
NUMPY_TYPES = {
    "BOOL": "bool",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
    **{name: name.lower() for name in DATATYPES.values() if "INT" in name},
}
SCORES = ("FP16", "FP32", "FP64")

# the values of the outputs that are named, for the inputs by name
Run = Callable[[Sequence[str], "Mapping[str, np.ndarray]"], "list[np.ndarray]"]


class OnnxModel:
    """A model in memory: one inference session on one thread.

    Rows are [n, columns], float64 with NaN for null, or objects where a feature is text.
    """

    platform = "onnx_onnxv1"
    is_remote = False

    def __init__(
        self, bundle: Bundle, session: "onnxruntime.InferenceSession", *, labels: Sequence[str]
    ) -> None:
        self.bundle = bundle
        self.digest = bundle.digest
        self.columns = row_columns(bundle.contract)
        self.inputs = _inputs(session, bundle)
        self._names = Names(labels)
        self.versions = _versions()
        self._run = _runner(session)
        self._matrix = _matrix(self.inputs)
        self._asked = _asked(session)
        self._lone = _lone(session, self._matrix, self._asked)
        self.outputs = _outputs(session, self._asked, named=bool(labels))

    def predict(self, rows: "np.ndarray") -> "tuple[list[Answer], np.ndarray]":
        """Answers and class scores [n, classes] (no classes when the model gives none) for rows [n, columns].

        Raises UsageError when the model fails on these rows, gives them other than one answer each, or
        answers a class that has no name.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.columns):
            raise UsageError("model", f"takes rows of {len(self.columns)} columns, found {list(rows.shape)}")
        is_lone = len(rows) == 1 and rows.dtype.kind != "O"
        found = (self._lone.run(rows) if self._lone and is_lone else None) or self._given(rows)
        answers, scores = _answers(found, n=len(rows), name=self._asked[0])
        return self._names.of(answers), scores

    def ask(self, rows: "np.ndarray", loop: object, done: object, *, awake: bool = False) -> bool:
        """There is no other process to ask."""
        return False

    def close(self) -> None:
        """Nothing to end: the session goes with this object."""

    def _given(self, rows: "np.ndarray") -> "list[np.ndarray]":
        """The outputs for rows [n, columns]."""
        matrix = self._matrix
        given = (
            {matrix.name: rows.astype(NUMPY_TYPES[matrix.datatype], copy=False)}
            if matrix and rows.dtype.kind != "O"
            else {spec.name: cast(rows, spec) for spec in self.inputs}
        )
        try:
            return self._run(self._asked, given)
        except Exception as error:  # onnxruntime raises bare classes of its C layer
            raise UsageError("model", f"failed on these rows: {' '.join(str(error).split())}") from None


def load_onnx(bundle: Bundle, *, labels: Sequence[str]) -> OnnxModel:
    """The model of a bundle; UsageError for one that cannot be asked with the contract's columns."""
    session = open_session(bundle.read(MODEL), where=f"bundle {bundle.digest[:12]}")
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
    # tensors in files beside the model are no part of the bundle: there is no such folder
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare classes of its C layer
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(where, f"{MODEL} cannot be loaded, {line}") from None


def _versions() -> dict[str, str]:
    import onnxruntime

    return {"onnxruntime": str(onnxruntime.__version__)}


def _runner(session: "onnxruntime.InferenceSession") -> Run:
    """What runs the session, without its wrapper in Python where that can be left out.

    It looks for what only accelerators have, and takes as long as the model itself for a single row.
    """
    run = getattr(getattr(session, "_sess", None), "run", session.run)
    return lambda outputs, inputs: run(outputs, inputs, None)


def _matrix(inputs: Sequence[TensorSpec]) -> TensorSpec | None:
    """The one tensor of real numbers that most models take, a row as it is; None for what takes a closer look."""
    one = inputs[0]
    is_plain = len(inputs) == 1 and len(one.shape) == 2 and one.datatype in ("FP32", "FP64")
    return one if is_plain else None


def _lone(
    session: "onnxruntime.InferenceSession", matrix: TensorSpec | None, asked: Sequence[str]
) -> Lone | None:
    import numpy as np

    if matrix is None:
        return None
    row = np.zeros((1, matrix.width), dtype=NUMPY_TYPES[matrix.datatype])
    return make_lone(session, matrix.name, asked, row)


def cast(rows: "np.ndarray", spec: TensorSpec) -> "np.ndarray":
    """A tensor's part of the rows in its type; UsageError where whole numbers are taken and one is none."""
    import numpy as np

    part = rows if spec.width == rows.shape[1] else rows[:, spec.start : spec.start + spec.width]
    if spec.datatype == "BYTES":
        text = np.array(["" if cell is None else str(cell) for cell in part.flat], dtype=object)
        return text.reshape(len(rows), *spec.shape[1:])
    numbers = part.astype("float64") if part.dtype.kind == "O" else part
    with np.errstate(invalid="ignore", over="ignore"):
        found: np.ndarray = numbers.astype(NUMPY_TYPES[spec.datatype], copy=False)
    if spec.datatype not in SCORES and not np.array_equal(found, numbers):
        raise UsageError("model", f"takes whole numbers ({spec.datatype}), found others in these rows")
    return _folded(found, spec)


def _folded(numbers: "np.ndarray", spec: TensorSpec) -> "np.ndarray":
    """The numbers of each row in the tensor's own dimensions."""
    return numbers if numbers.ndim == len(spec.shape) else numbers.reshape(len(numbers), *spec.shape[1:])


def _inputs(session: "onnxruntime.InferenceSession", bundle: Bundle) -> tuple[TensorSpec, ...]:
    """What the model takes: one tensor of all columns, or one of each feature by its name."""
    where, given = f"bundle {bundle.digest[:12]}", session.get_inputs()
    strange = next((tensor.type for tensor in given if tensor.type not in DATATYPES), None)
    if strange or not given:
        raise UsageError(where, f"{MODEL} takes {strange or 'nothing'}, expected tensors of numbers or text")
    names = {column.name for column in bundle.contract.columns}
    if len(given) > 1 or (given[0].name in names and len(names) == 1 and len(given[0].shape) != 2):
        return _by_name(given, bundle, where)
    return (_whole(given[0], bundle, where),)


def _whole(tensor: Any, bundle: Bundle, where: str) -> TensorSpec:
    """One tensor that holds every column of a row."""
    require_numbers(bundle.contract, CONTRACT)
    columns = len(row_columns(bundle.contract))
    if len(tensor.shape) < 2 or DATATYPES[tensor.type] == "BYTES":
        found = f"{MODEL} takes {tensor.type} of {len(tensor.shape)} dimensions"
        raise UsageError(where, f"{found}, expected a 2-dimensional tensor of numbers")
    sizes = tuple(size if isinstance(size, int) else -1 for size in tensor.shape[1:])
    sizes = (columns,) if sizes == (-1,) else sizes
    spec = TensorSpec(tensor.name, DATATYPES[tensor.type], (-1, *sizes))
    if -1 in sizes or spec.width != columns:
        found = f"{MODEL} takes {'x'.join(map(str, sizes))} columns, {CONTRACT} names {columns}"
        raise UsageError(where, found, hint="mend the contract")
    return spec


def _by_name(given: Sequence[Any], bundle: Bundle, where: str) -> tuple[TensorSpec, ...]:
    slots = {slot.column.name: slot for slot in make_slots(bundle.contract)}
    found = []
    for tensor in given:
        slot = slots.pop(tensor.name, None)
        if slot is None:
            raise UsageError(where, f"{MODEL} takes `{tensor.name}`, {CONTRACT} names no such feature")
        sizes = tuple(size if isinstance(size, int) else 1 for size in tensor.shape[1:])
        spec = TensorSpec(tensor.name, DATATYPES[tensor.type], (-1, *sizes), slot.start)
        if spec.width != slot.width:
            wanted = f"{CONTRACT} gives it {slot.width}"
            raise UsageError(where, f"{MODEL} takes {spec.width} values of `{tensor.name}`, {wanted}")
        found.append(spec)
    if slots:
        raise UsageError(
            where, f"{MODEL} does not take feature `{next(iter(slots))}`", hint="mend the contract"
        )
    return tuple(found)


def _asked(session: "onnxruntime.InferenceSession") -> list[str]:
    """The names of the answers' and, if there is one, the scores' output."""
    found = session.get_outputs()
    scores = [out.name for out in found[1:] if DATATYPES.get(out.type) in SCORES and len(out.shape) == 2]
    return [found[0].name, *scores[:1]]


def _outputs(
    session: "onnxruntime.InferenceSession", asked: Sequence[str], *, named: bool
) -> tuple[TensorSpec, ...]:
    known = {out.name: out for out in session.get_outputs()}
    first = known[asked[0]]
    is_scores = len(asked) == 1 and _classes(first) > 1
    whole = is_scores or DATATYPES.get(first.type, "FP64") not in (*SCORES, "BYTES")
    kind = "BYTES" if named or first.type == "tensor(string)" else "INT64" if whole else "FP64"
    answers = TensorSpec("predictions", kind, (-1,))
    scored = first if is_scores else known[asked[1]] if len(asked) > 1 else None
    return (answers, TensorSpec("scores", "FP32", (-1, _classes(scored)))) if scored else (answers,)


def _classes(output: Any) -> int:
    """How many scores a row has; -1 when that is not known before."""
    size = output.shape[1] if len(output.shape) == 2 else 1
    return size if isinstance(size, int) else -1


def _answers(found: "list[np.ndarray]", *, n: int, name: str) -> "tuple[list[Answer], np.ndarray]":
    """One answer a row; a model that gives nothing but scores answers the class of the largest."""
    import numpy as np

    first = found[0]
    if len(found) == 1 and first.ndim == 2 and first.shape[0] == n and first.shape[1] > 1:
        return first.argmax(axis=1).tolist(), first
    if first.shape not in ((n,), (n, 1)):
        shape = f"`{name}` has shape {list(first.shape)} for {n} rows"
        raise UsageError("model", f"{shape}, expected one answer each")
    flat = first if first.ndim == 1 else first[:, 0]
    # booleans are the classes 0 and 1
    answers: list[Answer] = (flat + 0 if flat.dtype.kind == "b" else flat).tolist()
    return answers, found[1] if len(found) > 1 else np.empty((n, 0), dtype="float32")
