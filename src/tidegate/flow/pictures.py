"""The pictures of rows that are images, for thumbnails in a report."""

import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from math import isqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tidegate.data.contract.quote import quote_name, quote_value
from tidegate.data.contract.source import run
from tidegate.gate.sheet import Sheet, fetch_texts, open_sheet, text_of
from tidegate.project import Config, load_config

SMALLEST_SIDE, LARGEST_SIDE = 4, 128
IMAGE = r"(?i).*\.(png|jpe?g|gif|webp|bmp|svg)"


class Picture(NamedTuple):
    """An image of a row: a `file`, or gray `pixels` (0 black) of a square, row by row."""

    file: Path | None = None
    side: int = 0
    pixels: bytes = b""


def pictures(root: Path, ids: Iterable[str]) -> dict[str, Picture]:
    """The pictures of rows by id, from the held-out table; empty where its rows are no images.

    They are images when a column holds paths of image files, or when the numbers of a row, such as p00 to p63, form
    a square.
    """
    config, wanted = load_config(root), list(ids)
    path = root / config.data.heldout
    if not wanted or not path.is_file():
        return {}
    with open_sheet(path) as sheet:
        return (
            _pictures(sheet, config, wanted, folders=(root, path.parent))
            if config.data.id in sheet.columns
            else {}
        )


def png(picture: Picture) -> bytes:
    """Gray pixels as a PNG file, for a thumbnail."""
    side = picture.side
    lines = b"".join(b"\0" + picture.pixels[start : start + side] for start in range(0, side * side, side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def square_of(columns: Sequence[str]) -> list[str]:
    """The columns that are a square's pixels, in their order: as many of one name with numbers as a square has."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        if column[-1:].isdigit():
            groups.setdefault(re.sub(r"\d+", "#", column).rstrip("#_x"), []).append(column)
    fitting = [some for some in groups.values() if _is_square(len(some))]
    most = max([*fitting, []], key=len)
    return sorted(most, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _pictures(
    sheet: Sheet, config: Config, ids: Sequence[str], *, folders: Sequence[Path]
) -> dict[str, Picture]:
    places = _places(sheet, config.data.id, ids)
    files = _image_column(sheet)
    if files:
        texts = fetch_texts(sheet, files, list(places.values()))
        found = {name: _file(texts[place], folders) for name, place in places.items()}
        return {name: Picture(file) for name, file in found.items() if file}
    names = square_of(sheet.columns)
    return _squares(sheet, names, places) if names and places else {}


def _squares(sheet: Sheet, names: Sequence[str], places: dict[str, int]) -> dict[str, Picture]:
    """Pixels scaled so that the table's lowest number is black and its highest white."""
    numbers = [f"try_cast({quote_name(name)} as DOUBLE)" for name in names]
    span = f"select min(least({', '.join(numbers)})), max(greatest({', '.join(numbers)})) from {sheet.sql}"  # noqa: S608
    low, high = run(sheet.connection, span, sheet.source)[0]
    if low is None:
        return {}
    listed = ", ".join(str(place) for place in places.values())
    query = (
        f"select file_row_number, [{', '.join(numbers)}] from {sheet.sql} where file_row_number in ({listed})"  # noqa: S608
    )
    values = dict(run(sheet.connection, query, sheet.source))
    side = isqrt(len(names))
    return {
        name: Picture(side=side, pixels=_gray(values[place], low, high))
        for name, place in places.items()
        if None not in values[place]
    }


def _gray(values: Sequence[float], low: float, high: float) -> bytes:
    scaled = (np.asarray(values) - low) * (255 / ((high - low) or 1))
    return np.rint(scaled).astype(np.uint8).tobytes()


def _places(sheet: Sheet, column: str, ids: Sequence[str]) -> dict[str, int]:
    listed = ", ".join(quote_value(name) for name in ids)
    text = text_of(sheet, column)
    query = f"select {text}, file_row_number from {sheet.sql} where {text} in ({listed})"  # noqa: S608
    found = dict(run(sheet.connection, query, sheet.source))
    return {name: found[name] for name in ids if name in found}


def _image_column(sheet: Sheet) -> str:
    """The first column whose every text names an image file; empty if none does."""
    texts = [name for name, kind in sheet.source.types.items() if sheet.source.is_text or kind == "VARCHAR"]
    if not texts:
        return ""
    tests = [
        f"bool_and(regexp_full_match({quote_name(name)}::VARCHAR, {quote_value(IMAGE)}))" for name in texts
    ]
    flags = run(sheet.connection, f"select {', '.join(tests)} from {sheet.sql}", sheet.source)[0]  # noqa: S608
    return next((name for name, flag in zip(texts, flags, strict=True) if flag), "")


def _file(text: str, folders: Sequence[Path]) -> Path | None:
    return next((path for folder in folders if (path := folder / text).is_file()), None)


def _is_square(number: int) -> bool:
    side = isqrt(number)
    return side * side == number and SMALLEST_SIDE <= side <= LARGEST_SIDE


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
