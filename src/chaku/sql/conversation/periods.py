"""Periods that only the turn before makes clear: "March" of the year that was asked about, "the year before"."""

import re
from collections.abc import Sequence
from datetime import timedelta

from chaku.sql.glossary.dates import MONTHS, Period, first_of, whole
from chaku.sql.glossary.query import ByTime, During, MetricQuery

MAX_YEARS = 9  # choices in a question back
_NAMES = "|".join(sorted(MONTHS, key=len, reverse=True)).replace("marz", "m[aä]rz")
_WITH_YEAR = r"(?!\w|\.?,? ?(?:of )?(?:19|20)\d\d|\.? \d)"
_UNDATED = re.compile(
    rf"(?<![\w-])(?<!\d\. )(?<!\d )(?P<month>{_NAMES}){_WITH_YEAR}|(?<![\w-])q(?P<quarter>[1-4]){_WITH_YEAR}"
    rf"|(?<![\d年月个])(?P<cjk>1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])月(?!份?\s?\d)份?",
    re.IGNORECASE,
)
_CJK_NUMBERS = {sign: number for number, sign in enumerate("一二三四五六七八九十", 1)} | {"十一": 11, "十二": 12}
_EARLIER = re.compile(
    r"(?:the )?(?P<unit>year|quarter|month|day) (?:before|earlier)(?: that)?(?!\w)"
    r"|(?:the )?previous (?P<previous>year|quarter|month|day)(?!\w)"
    r"|(?:im |das |den )?(?P<german>vor(?:jahr|monat|quartal|tag)|(?:jahr|monat|quartal|tag) davor)(?!\w)"
    r"|前一(?P<chinese>年|个?季度|个?月|天)",
    re.IGNORECASE,
)  # fmt: skip
_UNITS = {
    "jahr": "year",
    "monat": "month",
    "quartal": "quarter",
    "tag": "day",
    "年": "year",
    "季": "quarter",
    "月": "month",
}
_UNITS |= {"天": "day"}


def dated(text: str, before: MetricQuery, keys: Sequence[str]) -> list[str]:
    """A text whose months and quarters have a year: a text for each year that they may mean.

    `keys`: the units of time in the rows before, such as "2024-03"; without them, the years of the query's own periods
    count. The text alone if it names no undated month; nothing if no year, or too many, are possible.
    """
    text = _EARLIER.sub(lambda found: _earlier(found, before), text)
    undated = [found for found in _UNDATED.finditer(text) if not _is_may(found[0])]
    if not undated:
        return [text]
    years: list[set[int]] = [_years(found, before, keys) for found in undated]
    shared = sorted(set.intersection(*years))
    if len(shared) > MAX_YEARS:
        return []
    return [_UNDATED.sub(lambda found: _with_year(found, year), text) for year in shared]  # noqa: B023 - used at once


def before_it(period: Period) -> Period | None:
    """The unit of time before a period that is one unit."""
    if not period.unit or period.start is None:
        return None
    return whole(period.unit, first_of(period.unit, period.start, -1))


def spelled(period: Period) -> str:
    """A period that is one unit, as a question may write it: 2024, Q1 2024, 2024-03, 2024-03-31."""
    assert period.start
    if period.unit == "quarter":
        return f"Q{(period.start.month + 2) // 3} {period.start.year}"
    return period.start.isoformat()[: {"year": 4, "month": 7}.get(period.unit, 10)]


def time_keys(query: MetricQuery, rows: Sequence[Sequence[object]]) -> list[str]:
    """The units of time in the rows of a query that is grouped by them."""
    places = [number for number, group in enumerate(query.groups) if isinstance(group, ByTime)]
    return [str(row[place]) for place in places[:1] for row in rows]


def _is_may(word: str) -> bool:
    """Whether a word is the verb "may", or "mar" and "dec" in small letters, which are no months."""
    return word in ("may", "mar", "dec", "sep", "jan", "dez")


def _number(found: re.Match[str]) -> tuple[str, int]:
    """The unit that is named, and its number in the year."""
    if found["quarter"]:
        return "quarter", int(found["quarter"])
    if found["month"]:
        return "month", MONTHS[found["month"].lower().replace("ä", "a")]
    return "month", _CJK_NUMBERS.get(found["cjk"]) or int(found["cjk"])


def _with_year(found: re.Match[str], year: int) -> str:
    if _is_may(found[0]):
        return found[0]
    unit, number = _number(found)
    return f"Q{number} {year}" if unit == "quarter" else f"{year}-{number:02d}"


def _years(found: re.Match[str], before: MetricQuery, keys: Sequence[str]) -> set[int]:
    unit, number = _number(found)
    months = range(3 * number - 2, 3 * number + 1) if unit == "quarter" else range(number, number + 1)
    dated_keys = [key for key in keys if re.match(r"(?:19|20)\d\d", key)]
    ends = {f"-{month:02d}" for month in months} | {f"-Q{(month + 2) // 3}" for month in months}
    if in_rows := {int(key[:4]) for key in dated_keys if len(key) == 4 or key[4:7] in ends}:
        return in_rows
    periods = [period for one in before.filters if isinstance(one, During) for period in one.periods]
    return {
        year
        for period in periods
        if period.start and period.end
        for year in range(period.start.year, (period.end - timedelta(days=1)).year + 1)
    }


def _earlier(found: re.Match[str], before: MetricQuery) -> str:
    """The unit before the only period of a query: "the year before" of March 2024 is March 2023."""
    periods = [period for one in before.filters if isinstance(one, During) for period in one.periods]
    said = found["unit"] or found["previous"] or found["german"] or found["chinese"]
    unit = next((unit for word, unit in _UNITS.items() if word in said.lower()), said.lower())
    if len(periods) != 1 or not (period := periods[0]).unit or period.start is None:
        return found[0]
    if unit == period.unit:
        start = first_of(unit, period.start, -1)
    elif unit == "year":
        day = 28 if (period.start.month, period.start.day) == (2, 29) else period.start.day
        start = period.start.replace(year=period.start.year - 1, day=day)
    else:
        return found[0]
    return spelled(whole(period.unit, start))
