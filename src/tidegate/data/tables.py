"""Tables at the door: CSV and Parquet files as columns of plain values."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.errors import NotFoundError, UsageError, did_you_mean, missing_extra

if TYPE_CHECKING:
    import numpy as np


class Table(NamedTuple):
    """Named columns of equal length; values are numbers, text, booleans or None."""

    columns: tuple[str, ...]
    values: dict[str, list[Any]]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.values[self.columns[0]]) if self.columns else 0

    def numbers(self, names: Sequence[str]) -> "np.ndarray":
        """Columns as float64 [rows, names], None as NaN; UsageError for a missing column or what is no number."""
        import numpy as np

        found = np.empty((len(self), len(names)))
        for i, name in enumerate(names):
            found[:, i] = self._numbers(name)
        return found

    def _numbers(self, name: str) -> "np.ndarray":
        import numpy as np

        if name not in self.values:
            raise UsageError("table", f"no column `{name}`{did_you_mean(name, self.columns)}")
        try:
            return np.array(self.values[name], dtype=float)
        except (TypeError, ValueError, OverflowError):
            # an empty cell stands out only where nothing else does
            cells = self.values[name]
            wrong = [i for i, cell in enumerate(cells) if not _is_number(cell)]
            row = next((i for i in wrong if cells[i] != ""), wrong[0])
            found = f"column `{name}` holds {cells[row]!r}, expected a number"
            raise UsageError(f"table: row {row + 1}", found) from None


def read_table(path: Path) -> Table:
    """The table in a CSV file with a header line, or in a Parquet file, by its suffix.

    Raises NotFoundError without the file and UsageError, naming the line, for what is wrong in it.
    """
    if not path.is_file():
        raise NotFoundError(path.name, f"no such file in {path.parent.name or '.'}", hint="tidegate repro")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix == ".csv":
        return _read_csv(path)
    raise UsageError(path.name, f"unknown kind of table `{path.suffix}`, expected .csv or .parquet")


def _read_csv(path: Path) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path.name}:{reader.line_num}", f"{error}, expected CSV") from None
    except UnicodeDecodeError as error:
        raise UsageError(path.name, f"byte {error.start} is not UTF-8, expected CSV in UTF-8") from None
    if not lines or not lines[0][1]:
        raise UsageError(path.name, "no header line, expected the names of the columns")
    heads, rows = tuple(lines[0][1]), [row for _, row in lines[1:] if row]
    _check_shape(path.name, heads, lines)
    return Table(heads, {name: _typed([row[i] for row in rows]) for i, name in enumerate(heads)})


def _check_shape(where: str, heads: Sequence[str], lines: Sequence[tuple[int, Sequence[str]]]) -> None:
    twice = next((name for name in heads if heads.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}:1", f"column `{twice}` appears twice, names must be distinct")
    for number, row in lines:
        if row and len(row) != len(heads):
            raise UsageError(f"{where}:{number}", f"{len(row)} values, the header has {len(heads)}")


def _is_number(cell: object) -> bool:
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return cell is None
    return True


def _typed(cells: list[str]) -> list[Any]:
    """A column as integers or floats when every non-empty cell is one; empty cells are then None.

    Python would read `1_2` as 12; in a table it is text.
    """
    if any("_" in cell for cell in cells):
        return list(cells)
    for kind in (int, float):
        try:
            return [kind(cell) if cell else None for cell in cells]
        except ValueError:
            continue
    return list(cells)


def _read_parquet(path: Path) -> Table:
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing_extra(f"reading {path.name}", "gate") from None
    try:
        with duckdb.connect() as connection:
            found = connection.execute("select * from read_parquet(?)", [str(path)])
            heads = tuple(column[0] for column in found.description)
            rows = found.fetchall()
    except duckdb.Error as error:
        raise UsageError(path.name, f"{str(error).splitlines()[0]}, expected Parquet") from None
    return Table(heads, {name: [row[i] for row in rows] for i, name in enumerate(heads)})
