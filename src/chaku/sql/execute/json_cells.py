"""Writes the cells of a result as JSON values that lose nothing."""

import base64
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

MAX_EXACT = 2**53  # JavaScript reads a larger whole number as another number


def json_rows(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """The rows as JSON values.

    NULL, booleans, texts, and numbers stay what they are. Text stands for dates and times (as the database writes
    them), decimals, whole numbers beyond 2^53, NaN and the infinities. Bytes become {"base64": "..."}.
    """
    return [[_json_cell(cell) for cell in row] for row in rows]


def _json_cell(cell: Any) -> Any:
    match cell:
        case bytes():
            return {"base64": base64.b64encode(cell).decode()}
        case Decimal():
            return str(cell)
        case float() if not math.isfinite(cell):
            return str(cell)
        case int() if abs(cell) > MAX_EXACT:
            return str(cell)
    return cell
