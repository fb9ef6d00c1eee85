"""From the tensors of an inference request to the rows that a model is asked with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tidegate.domain import TensorSpec
from tidegate.errors import UsageError
from tidegate.serve.shape import Matrix, Shape, blank_rows, check_tensor
from tidegate.serve.tensor import Tensor

if TYPE_CHECKING:
    import numpy as np


def tensor_rows(
    tensors: Sequence[Tensor], specs: Sequence[TensorSpec], shape: Shape, *, max_rows: int
) -> Matrix:
    """The rows that these tensors make for a model that takes `specs`, held to its contract.

    Numbers of any type are taken where the model takes numbers. Raises UsageError naming the field that is
    wrong, and BreachError for rows that the contract refuses.
    """
    if len(tensors) == len(specs) == 1 and _is_plain(tensors[0], specs[0], shape, max_rows):
        where = tensors[0].where
        values = tensors[0].values.reshape(-1, shape.width)
        return check_tensor(values, lambda i: f"{where} row {i}", shape)
    given = _by_name(tensors, specs)
    pairs = [(spec, given[spec.name]) for spec in specs]
    n = _count(pairs, max_rows)
    where = f"{pairs[0][1].where} row " if len(pairs) == 1 else "row "
    return check_tensor(_joined(pairs, n, shape), lambda i: f"{where}{i}", shape)


def _is_plain(tensor: Tensor, spec: TensorSpec, shape: Shape, max_rows: int) -> bool:
    """Whether the tensor is the whole matrix of numbers that the model takes."""
    return (
        tensor.name == spec.name
        and tensor.shape[1:] == (shape.width,) == spec.shape[1:]
        and 1 <= tensor.shape[0] <= max_rows
        and tensor.datatype != "BYTES"
        and not shape.text
    )


def _by_name(tensors: Sequence[Tensor], specs: Sequence[TensorSpec]) -> Mapping[str, Tensor]:
    found = {tensor.name: tensor for tensor in tensors}
    if len(tensors) == len(specs) and all(spec.name in found for spec in specs):
        return found
    raise _misfit(tensors, [spec.name for spec in specs])


def _misfit(tensors: Sequence[Tensor], names: Sequence[str]) -> UsageError:
    """What is wrong with tensors that are not one of each name."""
    listed = ", ".join(f"`{name}`" for name in names[:5])
    takes = f"the model's input is {listed}" if len(names) == 1 else f"the model takes {listed}"
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name not in names:
            return UsageError(f"{_place(tensor)}.name", f"`{tensor.name}`, {takes}")
        if tensor.name in seen:
            return UsageError(f"{_place(tensor)}.name", f"`{tensor.name}` comes twice")
        seen.add(tensor.name)
    missing = next(name for name in names if name not in seen)
    return UsageError("inputs", f"no tensor `{missing}`, {takes}")


def _count(pairs: Sequence[tuple[TensorSpec, Tensor]], max_rows: int) -> int:
    """How many rows there are: the first size of every shape."""
    n = pairs[0][1].shape[0]
    for spec, tensor in pairs:
        _check(spec, tensor, max_rows)
        if tensor.shape[0] != n:
            found = f"{list(tensor.shape)} has {tensor.shape[0]} rows, `{pairs[0][1].name}` has {n}"
            raise UsageError(f"{_place(tensor)}.shape", found)
    return n


def _check(spec: TensorSpec, tensor: Tensor, max_rows: int) -> None:
    if (spec.datatype == "BYTES") != (tensor.datatype == "BYTES"):
        found = f"`{tensor.datatype}`, the model takes {spec.datatype}"
        raise UsageError(f"{_place(tensor)}.datatype", found)
    inner = tensor.shape[1:]
    if (inner != spec.shape[1:] and not (spec.width == 1 and inner in ((), (1,)))) or not (
        1 <= tensor.shape[0] <= max_rows
    ):
        sizes = "".join(f", {size}" for size in spec.shape[1:])
        found = f"{list(tensor.shape)}, expected [1 to {max_rows}{sizes}]"
        raise UsageError(f"{_place(tensor)}.shape", found)


def _joined(pairs: Sequence[tuple[TensorSpec, Tensor]], n: int, shape: Shape) -> "np.ndarray":
    if len(pairs) == 1 and pairs[0][0].width == shape.width:
        return pairs[0][1].values.reshape(n, shape.width)
    rows = blank_rows(n, shape)
    for spec, tensor in pairs:
        rows[:, spec.start : spec.start + spec.width] = tensor.values.reshape(n, spec.width)
    return rows


def _place(tensor: Tensor) -> str:
    """The tensor's place in the request, without that of its data."""
    return tensor.where.removesuffix(".data")
