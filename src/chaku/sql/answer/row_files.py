"""Writes the rows of a result as CSV, XLSX and Parquet, with types, and without formulas."""

import csv
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.sql.execute.runner import Result

SHEET_ROWS = 1_048_575  # of XLSX, besides the header
SHEET_COLUMNS = 16_384
SHEET_CELL = 32_767  # characters
SHEET_DIGITS = 15  # of a number: a spreadsheet's numbers are doubles
FIRST_SHEET_MONTH = (1900, 3)  # spreadsheets disagree on the days before
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_FORMULA = re.compile(r"\s*[=+@＝＋－＠-]|[\t\r\n]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?")


def write_csv(result: Result, file: TextIO) -> None:
    """Rows as CSV, NULL as nothing, bytes as 0x and hexadecimal digits.

    A text that a spreadsheet would run as a formula gets a ' in front; a text that is a number stays as it is.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_csv_cell, result.columns))
    writer.writerows(map(_csv_cell, row) for row in result.rows)


def _csv_cell(cell: Any) -> Any:
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return f"0x{cell.hex()}"
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def check_xlsx() -> None:
    """Raises ChakuError for a missing library."""
    _xlsxwriter()


def write_xlsx(result: Result, path: Path) -> None:
    """Rows as a sheet: dates are dates, and all text is text, never a formula or a link.

    Numbers of more than SHEET_DIGITS digits, days before 1900-03-01, microseconds, NaN and the infinities become text,
    since a sheet would change them. Raises ChakuError for a result that is larger than a sheet, and without XlsxWriter.
    """
    longest = max((len(cell) for row in result.rows for cell in row if isinstance(cell, str)), default=0)
    num_rows, num_columns = len(result.rows), len(result.columns)
    if num_rows > SHEET_ROWS or num_columns > SHEET_COLUMNS or longest > SHEET_CELL:
        raise ChakuError(
            f"{path} was not written: a sheet has at most {SHEET_ROWS:,} rows, {SHEET_COLUMNS:,} columns and "
            f"{SHEET_CELL:,} characters a cell, and the result has {num_rows:,} rows, {num_columns:,} columns and "
            f"{longest:,} characters in a cell; write --parquet or --csv"
        )
    columns = [_dates(column) for column in _columns(result)]
    with atomic_file(path) as temporary:
        book = _xlsxwriter().Workbook(temporary, {"constant_memory": True})
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for index, name in enumerate(result.columns):
            sheet.write_string(0, index, name)
        for number in range(num_rows):
            for index, cells in enumerate(columns):
                match _sheet_cell(cells[number]):
                    case None:
                        continue
                    case bool() as cell:
                        sheet.write_boolean(number + 1, index, cell)
                    case int() | float() | Decimal() as cell:
                        sheet.write_number(number + 1, index, cell)
                    case date() as cell:
                        sheet.write_datetime(number + 1, index, cell, moment if isinstance(cell, datetime) else day)
                    case cell:
                        sheet.write_string(number + 1, index, cell)
        book.close()


def _sheet_cell(cell: Any) -> Any:
    match cell:
        case None | bool() | str():
            return cell
        case bytes():
            return f"0x{cell.hex()}"
        case date():
            is_exact = not isinstance(cell, datetime) or cell.microsecond % 1000 == 0
            return cell if is_exact and (cell.year, cell.month) >= FIRST_SHEET_MONTH else str(cell)
        case float():
            return cell if math.isfinite(cell) else str(cell)
        case Decimal():
            is_exact = cell.is_finite() and len(cell.as_tuple().digits) <= SHEET_DIGITS
            return cell if is_exact and abs(cell.adjusted()) < 300 else str(cell)
    return cell if len(str(abs(cell))) <= SHEET_DIGITS else str(cell)


def write_parquet(result: Result, path: Path) -> None:
    """Rows as Parquet, each column with its type: whole number, decimal, double, date, time, boolean, bytes, text.

    A column of several types, or of numbers that no type of Parquet holds exactly, becomes text. Repeated names of
    columns get a number.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [_dates(column) for column in _columns(result)]
    arrays = [_array(cells) for cells in columns]
    table = pa.Table.from_arrays(arrays, names=_different(result.columns))
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary)


def _array(cells: Sequence[Any]) -> Any:
    import pyarrow as pa

    kinds = {type(cell) for cell in cells if cell is not None}
    for fits, kind in (
        ({bool}, pa.bool_()),
        ({int}, pa.int64()),
        ({float}, pa.float64()),
        ({bytes}, pa.binary()),
        ({datetime}, pa.timestamp("us")),
        ({date}, pa.date32()),
        ({int, Decimal}, None),  # the precision that the numbers need
        ({str}, pa.string()),
    ):
        if kinds and kinds <= fits:
            try:
                return pa.array([Decimal(cell) if kind is None and cell is not None else cell for cell in cells], kind)
            except (pa.ArrowInvalid, OverflowError):
                continue
    if kinds == {int, float} and all(isinstance(cell, float) or abs(cell or 0) <= 2**53 for cell in cells):
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    return pa.array([_text(cell) for cell in cells], pa.string())


def _text(cell: Any) -> str | None:
    return None if cell is None else f"0x{cell.hex()}" if isinstance(cell, bytes) else str(cell)


def _columns(result: Result) -> list[list[Any]]:
    return [[row[index] for row in result.rows] for index in range(len(result.columns))]


def _dates(cells: list[Any]) -> list[Any]:
    """The cells as dates or times, if all of them are, as databases write them; otherwise unchanged."""
    for pattern, read in ((_DATE, date.fromisoformat), (_TIMESTAMP, datetime.fromisoformat)):
        if (read_cells := _read_all(cells, pattern, read)) is not None:
            return read_cells
    return cells


def _read_all(cells: list[Any], pattern: re.Pattern[str], read: Callable[[str], Any]) -> list[Any] | None:
    found = False
    made: list[Any] = []
    for cell in cells:
        if cell is not None:
            if not isinstance(cell, str) or not pattern.fullmatch(cell):
                return None
            try:
                cell = read(cell)
            except ValueError:
                return None
            found = True
        made.append(cell)
    return made if found else None


def _different(names: Sequence[str]) -> list[str]:
    """The names, a repeated one with the next free number: n, n_2."""
    made: list[str] = []
    for name in names:
        new, number = name, 1
        while new in made:
            number += 1
            new = f"{name}_{number}"
        made.append(new)
    return made


def _xlsxwriter() -> Any:
    try:
        import xlsxwriter
    except ModuleNotFoundError:
        raise ChakuError("--xlsx needs XlsxWriter: pip install 'chaku[files]'; --parquet needs nothing") from None
    return xlsxwriter
