import csv
import io
import sys
import zipfile
from datetime import date, datetime
from decimal import Decimal
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chaku.errors import ChakuError
from chaku.sql.answer.row_files import SHEET_ROWS, check_xlsx, write_csv, write_parquet, write_xlsx
from chaku.sql.execute.runner import Result

BIG = 2**63 - 1
NAMES = ("day", "at", "price", "big", "text", "raw", "flag", "nothing", "mixed", "real")
ROWS = [
    ("2024-02-29", "2024-02-29 12:30:00", Decimal("12.50"), BIG, "=1+1", b"\x00\xff", True, None, 1, 0.5),
    (None, None, None, None, None, None, None, None, "one", None),
    ("1899-12-31", "2024-02-29T12:30:00.000001", Decimal("0.1"), 3, "日本", b"", False, None, None, float("inf")),
]
RESULT = Result("ok", "", NAMES, ROWS)
FORMULAS = ["=1+1", "+49 30 1", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1"]


def test_parquet_keeps_every_type_and_null(tmp_path):
    write_parquet(RESULT, tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert dict(zip(table.column_names, table.schema.types, strict=True)) == {
        "day": pa.date32(), "at": pa.timestamp("us"), "price": pa.decimal128(4, 2), "big": pa.int64(),
        "text": pa.string(), "raw": pa.binary(), "flag": pa.bool_(), "nothing": pa.string(), "mixed": pa.string(),
        "real": pa.float64(),
    }  # fmt: skip
    first, second, third = table.to_pylist()
    assert first == {
        "day": date(2024, 2, 29), "at": datetime(2024, 2, 29, 12, 30), "price": Decimal("12.50"), "big": BIG,
        "text": "=1+1", "raw": b"\x00\xff", "flag": True, "nothing": None, "mixed": "1", "real": 0.5,
    }  # fmt: skip
    assert set(second.values()) == {None, "one"}
    assert third["at"] == datetime(2024, 2, 29, 12, 30, 0, 1)


@pytest.mark.parametrize(
    ("cells", "kind", "read"),
    [
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([2**53 + 1, 2.5], pa.string(), ["9007199254740993", "2.5"]),
        ([2**63, 1], pa.decimal128(19, 0), [Decimal(2**63), Decimal(1)]),
        ([10**90, 1], pa.string(), [str(10**90), "1"]),
        ([1, Decimal("0.5")], pa.decimal128(2, 1), [Decimal("1.0"), Decimal("0.5")]),
        ([Decimal("NaN"), Decimal(1)], pa.string(), ["NaN", "1"]),
        (["2024-13-01"], pa.string(), ["2024-13-01"]),
        (["2024-01-01", "soon"], pa.string(), ["2024-01-01", "soon"]),
        ([b"\xff", "a"], pa.string(), ["0xff", "a"]),
    ],
)
def test_numbers_that_no_type_holds_become_text(tmp_path, cells, kind, read):
    write_parquet(Result("ok", "", ("a",), [(cell,) for cell in cells]), tmp_path / "rows.parquet")
    column = pq.read_table(tmp_path / "rows.parquet")["a"]
    assert (column.type, column.to_pylist()) == (kind, read)


def test_repeated_names_and_no_rows_make_a_file(tmp_path):
    write_parquet(Result("ok", "", ("a", "a", "a_2"), []), tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").column_names == ["a", "a_2", "a_2_2"]


def test_csv_has_no_formula_and_keeps_numbers():
    file = io.StringIO()
    numbers = [-5, "-5", "+1.5e3", Decimal("-0.1")]
    write_csv(Result("ok", "", ("=cmd()",), [(cell,) for cell in (*FORMULAS, *numbers, "a=b", None)]), file)
    header, *rows = csv.reader(io.StringIO(file.getvalue()))
    assert header == ["'=cmd()"]
    assert [row[0] if row else "" for row in rows] == [
        *(f"'{cell}" for cell in FORMULAS), "-5", "-5", "+1.5e3", "-0.1", "a=b", ""
    ]  # fmt: skip


def sheet(path):
    """(type, content) of every cell of the sheet, by its place; and the whole XML."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read("xl/worksheets/sheet1.xml").decode()
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    cells = {cell.get("r"): cell for cell in ElementTree.fromstring(text).iter(f"{space}c")}
    return {place: (cell.get("t", "n"), "".join(cell.itertext())) for place, cell in cells.items()}, text


def test_a_sheet_has_types_and_text_where_its_numbers_would_lose_digits(tmp_path):
    pytest.importorskip("xlsxwriter", reason="needs the files extra")
    write_xlsx(RESULT, tmp_path / "rows.xlsx")
    cells, _ = sheet(tmp_path / "rows.xlsx")
    assert [cells[f"{column}1"][1] for column in "ABCDEFGHIJ"] == list(NAMES)
    assert {column: cells.get(f"{column}2") for column in "ABCDEFGHIJ"} == {
        "A": ("n", "45351"), "B": ("n", "45351.52083333334"), "C": ("n", "12.50"), "D": ("inlineStr", str(BIG)),
        "E": ("inlineStr", "=1+1"), "F": ("inlineStr", "0x00ff"), "G": ("b", "1"), "H": None, "I": ("n", "1"),
        "J": ("n", "0.5"),
    }  # fmt: skip
    assert [place for place in cells if place.endswith("3")] == ["I3"]
    assert cells["A4"] == ("inlineStr", "1899-12-31")
    assert cells["B4"] == ("inlineStr", "2024-02-29 12:30:00.000001")
    assert cells["J4"] == ("inlineStr", "inf")


def test_a_sheet_has_no_formula_and_no_link(tmp_path):
    pytest.importorskip("xlsxwriter", reason="needs the files extra")
    texts = [*FORMULAS, "http://example.com", "{=1}"]
    write_xlsx(Result("ok", "", ("=cmd()",), [(text,) for text in texts]), tmp_path / "rows.xlsx")
    cells, xml = sheet(tmp_path / "rows.xlsx")
    assert [content for _, content in cells.values()] == ["=cmd()", *texts]
    assert {kind for kind, _ in cells.values()} == {"inlineStr"}
    assert "<f>" not in xml
    assert "hyperlink" not in xml


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(1,)] * (SHEET_ROWS + 1), "has 1,048,576 rows"),
        ([("x" * 40_000,)], "40,000 characters in a cell"),
    ],
)
def test_what_a_sheet_cannot_hold_is_not_written_in_part(tmp_path, rows, said):
    with pytest.raises(ChakuError, match=said):
        write_xlsx(Result("ok", "", ("a",), rows), tmp_path / "rows.xlsx")
    assert [*tmp_path.iterdir()] == []


def test_a_missing_library_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ChakuError, match=r"pip install 'chaku\[files\]'"):
        check_xlsx()
