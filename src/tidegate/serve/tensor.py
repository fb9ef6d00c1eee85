"""Tensors of the Open Inference Protocol: from JSON or raw bytes to arrays and back.

Raw tensors are little-endian and row-major; BOOL takes a byte, BYTES is a u32 length before each value.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import math
import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

NESTED = re.compile(rb"\s*\[\s*\[")
SIGNED = {f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)}
UNSIGNED = {f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)}
REAL = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
DTYPES = {"BOOL": "|b1", **UNSIGNED, **SIGNED, **REAL}
DATATYPES = (*DTYPES, "BYTES")
# how JSON has them; numbers are read as float64, but a 64-bit one must not be rounded before it is looked at
KINDS = {"BYTES": "text", "BOOL": "boolean", "INT64": "whole", "UINT64": "whole"}
MAX_DIMENSIONS = 8
MAX_WHOLE = 2**53
TOO_LONG = "a whole number above 2^53 does not fit a row of float64"
LENGTH = struct.Struct("<I")
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float), "whole": (int, float), "boolean": (bool,), "text": (str,),
}  # fmt: skip
WORDS = {
    "number": "float | null", "whole": "int | float | null", "boolean": "bool | null", "text": "str | null",
}  # fmt: skip

_flat: dict[str, msgspec.json.Decoder[Any]] = {
    "number": msgspec.json.Decoder(list[float | None]),
    "boolean": msgspec.json.Decoder(list[bool | None]),
    "text": msgspec.json.Decoder(list[str | None]),
    "whole": msgspec.json.Decoder(list[int | float | None]),
}
_table: dict[str, msgspec.json.Decoder[Any]] = {
    "number": msgspec.json.Decoder(list[list[float | None]]),
    "whole": msgspec.json.Decoder(list[list[int | float | None]]),
}
_any = msgspec.json.Decoder(list[Any])


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """A named tensor: `values` are flat, float64 with NaN for null, or objects for BYTES.

    `where` is its place in the request, for complaints.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: "np.ndarray"
    where: str = ""


def check_shape(datatype: str, shape: Sequence[int], where: str) -> int:
    """How many values a tensor holds; UsageError for an unknown type or a shape that none can have."""
    if datatype not in DTYPES and datatype != "BYTES":
        known = ", ".join(DATATYPES)
        raise UsageError(f"{where}.datatype", f"unknown datatype `{datatype}`, expected one of {known}")
    if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 0:
        found = f"{list(shape)}, expected 1 to {MAX_DIMENSIONS} sizes of 0 or more"
        raise UsageError(f"{where}.shape", found)
    return math.prod(shape)


def decode_json(data: bytes, datatype: str, shape: Sequence[int], where: str) -> "np.ndarray":
    """The values of a `data` field, flat or nested; UsageError names the value that is wrong."""
    count = check_shape(datatype, shape, where)
    cells = _cells(data, datatype, shape, where)
    if len(cells) != count:
        found = f"{len(cells)} values, shape {list(shape)} needs {count}"
        raise UsageError(f"{where}.data", found)
    return _array(cells, datatype, f"{where}.data")


def decode_raw(data: bytes | memoryview, datatype: str, shape: Sequence[int], where: str) -> "np.ndarray":
    """The values of a raw tensor; UsageError when it has another size than its shape."""
    import numpy as np

    count = check_shape(datatype, shape, where)
    if datatype == "BYTES":
        return _texts(bytes(data), count, where)
    dtype = np.dtype(DTYPES[datatype])
    if len(data) != count * dtype.itemsize:
        found = f"{len(data)} bytes, shape {list(shape)} of {datatype} needs {count * dtype.itemsize}"
        raise UsageError(where, found)
    values = np.frombuffer(data, "|u1" if datatype == "BOOL" else dtype)
    if datatype == "BOOL":
        values = values != 0
    if KINDS.get(datatype) == "whole" and ((values > MAX_WHOLE) | (values < -MAX_WHOLE)).any():
        raise UsageError(where, TOO_LONG)
    return values.astype("float64")


def decode_typed(cells: Sequence[Any], datatype: str, shape: Sequence[int], where: str) -> "np.ndarray":
    """The values of a typed tensor of gRPC; UsageError when there are more or fewer than its shape has."""
    count = check_shape(datatype, shape, where)
    if len(cells) != count:
        raise UsageError(where, f"{len(cells)} values, shape {list(shape)} needs {count}")
    if datatype != "BYTES":
        return _array(list(cells), datatype, where)
    try:
        return _array([cell.decode() for cell in cells], datatype, where)
    except UnicodeDecodeError:
        raise UsageError(where, "a value is not UTF-8") from None


def encode_raw(values: "np.ndarray | Sequence[Any]", datatype: str) -> bytes:
    """An output's values as a raw tensor."""
    import numpy as np

    if datatype == "BYTES":
        texts = [str(value).encode() for value in values]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)
    return np.asarray(values).astype(DTYPES[datatype]).tobytes()


def numbers_of(cells: list[float | None]) -> "np.ndarray":
    """Numbers as float64, NaN for null."""
    import numpy as np

    try:
        return np.frombuffer(_packer(len(cells))(*cells))
    except struct.error:
        return np.array(cells, dtype="float64")


@lru_cache(maxsize=64)
def _packer(n: int) -> Callable[..., bytes]:
    """What makes bytes of `n` floats, in half the time that numpy takes for their list."""
    return struct.Struct(f"={n}d").pack


def _cells(data: bytes, datatype: str, shape: Sequence[int], where: str) -> list[Any]:
    kind = KINDS.get(datatype, "number")
    try:
        if NESTED.match(data):
            return _table_cells(data, kind, shape) or _unnested(data, kind, shape, where)
        cells: list[Any] = _flat[kind].decode(data)
        return cells
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise UsageError(f"{where}.data{path.rstrip('`')}", message[:1].lower() + message[1:]) from None
    except RecursionError:
        raise UsageError(f"{where}.data", "nested too deep") from None


def _table_cells(data: bytes, kind: str, shape: Sequence[int]) -> list[Any]:
    """The values of a table of numbers, which is what most send; nothing for what needs a closer look."""
    if kind not in _table or len(shape) != 2:
        return []
    try:
        rows = _table[kind].decode(data)
    except msgspec.ValidationError:
        return []
    return [cell for row in rows for cell in row] if all(len(row) == shape[1] for row in rows) else []


def _unnested(data: bytes, kind: str, shape: Sequence[int], where: str) -> list[Any]:
    """The values of nested lists, whose lengths are those of the shape."""
    level: list[Any] = [("", _any.decode(data))]
    *outer, last = shape if len(shape) > 1 else (*shape, 1)
    for size in outer:
        level = [cell for path, cells in level for cell in _opened(path, cells, size, where)]
    found: list[Any] = []
    for path, cells in level:
        _opened(path, cells, last, where)
        found += _checked(cells, kind, f"{where}.data{path}")
    return found


def _opened(path: str, cells: Any, size: int, where: str) -> list[tuple[str, Any]]:
    place = f"{where}.data{path}"
    if not isinstance(cells, list):
        raise UsageError(place, f"expected `array`, got `{_type(cells)}`")
    if len(cells) != size:
        raise UsageError(place, f"{len(cells)} values, its dimension of the shape has {size}")
    return [(f"{path}[{i}]", cell) for i, cell in enumerate(cells)]


def _checked(cells: list[Any], kind: str, place: str) -> list[Any]:
    expected = PYTHON_TYPES[kind]
    for i, cell in enumerate(cells):
        is_number = kind in _table and isinstance(cell, bool)
        if cell is not None and (is_number or not isinstance(cell, expected)):
            raise UsageError(f"{place}[{i}]", f"expected `{WORDS[kind]}`, got `{_type(cell)}`")
    return cells


def _type(value: object) -> str:
    """The JSON type of a value, in the words of msgspec."""
    names = {list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _array(cells: list[Any], datatype: str, where: str) -> "np.ndarray":
    import numpy as np

    if datatype == "BYTES":
        found = np.empty(len(cells), dtype=object)
        found[:] = cells
        return found
    try:
        values = np.array(cells, dtype="float64")
    except OverflowError:
        raise UsageError(where, "a number is too large for float64") from None
    if KINDS.get(datatype) == "whole" and any(abs(cell) > MAX_WHOLE for cell in cells if cell is not None):
        raise UsageError(where, TOO_LONG)
    if datatype in SIGNED or datatype in UNSIGNED:
        _require_whole(values, datatype, where)
    return values


def _require_whole(values: "np.ndarray", datatype: str, where: str) -> None:
    import numpy as np

    limits = np.iinfo(DTYPES[datatype])
    known = values[~np.isnan(values)]
    if not ((known == np.floor(known)) & (known >= limits.min) & (known <= limits.max)).all():
        raise UsageError(where, f"a value is no {datatype}")


def _texts(data: bytes, count: int, where: str) -> "np.ndarray":
    import numpy as np

    # a shape is easily sent that no memory holds
    if count * LENGTH.size > len(data):
        raise UsageError(where, f"{len(data)} bytes, {count} values of BYTES need more")
    found = np.empty(count, dtype=object)
    at = 0
    for i in range(count):
        end = at + LENGTH.size
        if end > len(data) or end + (size := LENGTH.unpack_from(data, at)[0]) > len(data):
            raise UsageError(where, f"{len(data)} bytes end within value {i} of {count}")
        try:
            found[i] = data[end : end + size].decode()
        except UnicodeDecodeError:
            raise UsageError(where, f"value {i} is not UTF-8") from None
        at = end + size
    if at != len(data):
        raise UsageError(where, f"{len(data) - at} bytes after its {count} values")
    return found
