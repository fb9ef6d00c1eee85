"""What a model's process and the one that asks say to each other: frames of MessagePack, arrays as raw bytes.

Nothing that comes over the wire is code or is believed: every message is a typed record, every array is as
long as its shape says.
"""

import math
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    import numpy as np

# what a predictor's process finds in its folder
MODULE = "predictor.py"
ARTIFACTS = "artifacts"

LENGTH = struct.Struct("!Q")
MAX_FRAME = 1 << 28
CHUNK = 1 << 16

Message = TypeVar("Message")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message."""


class Array(Record, frozen=True):
    """Numbers in the order of C: `kind` is little-endian float64, float32 or int64."""

    kind: Literal["<f8", "<f4", "<i8"]
    shape: tuple[int, ...]
    data: bytes


class Feature(Record, frozen=True):
    """A feature of the contract: the columns of a row that it takes, and the shape they fold to."""

    name: str
    start: int
    width: int
    shape: tuple[int, ...]
    is_text: bool


class Load(Record, frozen=True):
    """Load the model whose files lie in the folder `files`; `memory` is the address space in bytes."""

    format: str
    files: str
    name: str
    features: tuple[Feature, ...]
    trust: tuple[str, ...]
    memory: int


class Loaded(Record, frozen=True):
    """The model is there; `versions` are those of the packages that it runs on."""

    versions: dict[str, str]


class Ask(Record, frozen=True):
    """Rows [n, columns]; the cells of the columns in `text` stand in it as lists, and as NaN in the numbers."""

    rows: Array
    text: dict[int, list[str | None]]


class Answered(Record, frozen=True):
    """One answer a row, as numbers or as text, and scores [n, classes]."""

    answers: Array | list[str]
    scores: Array


class Convert(Record, frozen=True):
    """Convert the model that was loaded to ONNX, computing in `precision`."""

    precision: Literal["float32", "float64"]


class Converted(Record, frozen=True):
    """The bytes of the ONNX file."""

    model: bytes


class Failed(Record, frozen=True):
    """It did not work, for a reason in one line."""

    reason: str


class Request(Record, frozen=True):
    """What is asked of the process: exactly one of these.

    With `awake` the next question is likely to follow at once, sooner than a process is woken.
    """

    load: Load | None = None
    ask: Ask | None = None
    convert: Convert | None = None
    awake: bool = False


class Reply(Record, frozen=True):
    """What the process says: exactly one of these."""

    loaded: Loaded | None = None
    answered: Answered | None = None
    converted: Converted | None = None
    failed: Failed | None = None


def frame(message: Record) -> bytes:
    """The bytes of a message, in one piece, so that the other side wakes up once."""
    data = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data


def decode(found: bytearray, kind: type[Message]) -> Message | None:
    """The message whose frame was found, None until it is whole; ValueError for bytes that are no such message.

    After a whole message nothing comes before it is answered.
    """
    if len(found) < LENGTH.size:
        return None
    size = LENGTH.unpack_from(found)[0]
    if size > MAX_FRAME:
        raise ValueError(f"a message of {size} bytes, at most {MAX_FRAME} are taken")
    if len(found) < LENGTH.size + size:
        return None
    return msgspec.msgpack.decode(memoryview(found)[LENGTH.size :], type=kind)


def send(connection: socket.socket, message: Record, *, until: float = math.inf) -> None:
    """Send a message; TimeoutError when it is not gone by `until` (monotonic seconds)."""
    data = frame(message)
    _limit(connection, until)
    connection.sendall(data)


def receive(connection: socket.socket, kind: type[Message], *, until: float = math.inf) -> Message:
    """The next message.

    Raises EOFError when the other side is gone, TimeoutError when nothing whole has come by `until`, and
    ValueError for bytes that are no such message.
    """
    found = bytearray()
    while True:
        _limit(connection, until)
        part = connection.recv(CHUNK)
        if not part:
            raise EOFError
        found += part
        message = decode(found, kind)
        if message is not None:
            return message


def pack(array: "np.ndarray") -> Array:
    """An array as a message; booleans and whole numbers as int64, the rest in its own precision."""
    import numpy as np

    kind: Any = "<i8" if array.dtype.kind in "biu" else "<f4" if array.dtype == np.float32 else "<f8"
    data = np.ascontiguousarray(array, dtype=kind)
    return Array(kind, data.shape, data.tobytes())


def unpack(array: Array) -> "np.ndarray":
    """The array of a message; ValueError when its bytes are not as many as its shape says."""
    import numpy as np

    if min(array.shape, default=0) < 0:
        raise ValueError(f"an array of shape {list(array.shape)}")
    if math.prod(array.shape) * int(array.kind[-1]) != len(array.data):
        raise ValueError(f"{len(array.data)} bytes for an array of shape {list(array.shape)}")
    return np.frombuffer(array.data, dtype=array.kind).reshape(array.shape)


def pack_rows(rows: "np.ndarray", text: "frozenset[int]") -> Ask:
    """Rows as a question; `text` are the columns that hold text."""
    import numpy as np

    if not text:
        return Ask(pack(np.asarray(rows, dtype=float)), {})
    numbers = np.full(rows.shape, np.nan)
    others = [i for i in range(rows.shape[1]) if i not in text]
    numbers[:, others] = rows[:, others].astype(float)
    return Ask(pack(numbers), {i: [_text(cell) for cell in rows[:, i].tolist()] for i in sorted(text)})


def unpack_rows(ask: Ask) -> "np.ndarray":
    """The rows of a question, float64, or objects where there is text."""
    numbers = unpack(ask.rows)
    if not ask.text:
        return numbers
    rows = numbers.astype(object)
    for i, cells in ask.text.items():
        rows[:, i] = cells
    return rows


def _text(cell: object) -> str | None:
    is_null = cell is None or (isinstance(cell, float) and math.isnan(cell))
    return None if is_null else str(cell)


def _limit(connection: socket.socket, until: float) -> None:
    if until == math.inf:
        return
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
