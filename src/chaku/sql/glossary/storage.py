"""How a column stores dates and numbers, by its type and its sampled values."""

import re
from typing import Literal

from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Column, Dialect

DATE_TYPES = re.compile(r"^(date|timestamp|datetime)", re.IGNORECASE)
NUMBER_TYPES = re.compile(r"int|real|floa|doub|num|dec|serial|money", re.IGNORECASE)
ISO = re.compile(r"'\d{4}-\d{2}-\d{2}([ T].*)?'")
YEAR, YEAR_TEXT = re.compile(r"[12]\d{3}"), re.compile(r"'[12]\d{3}'")

DateForm = Literal["date", "year", "year text", ""]


def date_form(column: Column, dialect: Dialect) -> DateForm:
    """ "date" for dates (in SQLite, texts that begin with 2024-05-31), "year" and "year text" for 2024 and '2024'.

    "" for any other form: rules leave such a column alone.
    """
    text_dates = ENGINES[dialect].text_dates
    if not text_dates and DATE_TYPES.match(column.type):
        return "date"
    if not column.values:
        return ""
    if text_dates and all(ISO.fullmatch(value) for value in column.values):
        return "date"
    if all(YEAR.fullmatch(value) for value in column.values):
        return "year"
    return "year text" if all(YEAR_TEXT.fullmatch(value) for value in column.values) else ""


def is_number(column: Column) -> bool:
    """Whether a column has numbers."""
    return NUMBER_TYPES.search(column.type) is not None and not any(value.startswith("'") for value in column.values)
