"""Finds periods in questions: "in March 2024", "last month", "Q1 2024", "since 2023", "letztes Jahr", "2023年5月"."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta
from typing import Literal

Unit = Literal["year", "quarter", "month", "day"]
Named = Literal["year", "quarter", "month", "day", ""]


@dataclass(frozen=True)
class Period:
    """The days from `start` up to, but without, `end`; None is open. `unit`: the unit that it is one of, or ""."""

    start: date | None
    end: date | None
    unit: Named = ""

    def __str__(self) -> str:
        last = self.end - timedelta(days=1) if self.end else None
        if self.start is None:
            return f"until {last}"
        return f"{self.start} to {last}" if last else f"since {self.start}"


_MONTHS = """january januar jan|february februar feb|march marz mar|april apr|may mai|june juni jun|july juli jul
|august aug|september sept sep|october oktober oct okt|november nov|december dezember dec dez"""
MONTHS = {name: number for number, names in enumerate(_MONTHS.split("|"), 1) for name in names.split()}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
ORDINALS |= {"ersten": 1, "erstes": 1, "zweiten": 2, "dritten": 3, "vierten": 4}
_COUNT_WORDS = "two three four five six seven eight nine ten eleven twelve"
COUNTS = {word: number for number, word in enumerate(_COUNT_WORDS.split(), 2)}
_MONTH, _YEAR = "|".join(MONTHS), r"(?:year )?(?:jahr )?((?:19|20)\d\d)(?: 年)?"
_ORDINAL, _COUNT = "|".join(ORDINALS), "|".join(COUNTS)
_UNITS = {"year": "year", "years": "year", "quarter": "quarter", "quarters": "quarter", "month": "month",
          "months": "month", "day": "day", "days": "day", "week": "week", "weeks": "week",
          "jahr": "year", "jahre": "year", "quartal": "quarter", "quartale": "quarter", "monat": "month",
          "monate": "month", "tag": "day", "tage": "day", "woche": "week", "wochen": "week",
          "jahren": "year", "monaten": "month", "tagen": "day", "quartalen": "quarter",
          "年": "year", "季 度": "quarter", "个 月": "month", "月": "month", "天": "day", "周": "week"}  # fmt: skip
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_LAST, _THIS = (
    "last|past|previous|letzte[nrsm]?|vergangene[nrsm]?|vorige[nrsm]?|上|过 去",
    "this|current|diese[nrsm]?|本|这",
)


def first_of(unit: str, day: date, shift: int = 0) -> date:
    """The first day of the unit that has `day`, moved by `shift` units. Raises ValueError beyond the year 9999."""
    if unit == "day":
        return day + timedelta(days=shift)
    if unit == "week":
        return day + timedelta(days=7 * shift - day.weekday())
    size = {"month": 1, "quarter": 3, "year": 12}[unit]
    months = day.year * 12 + (day.month - 1) // size * size + shift * size
    return date(months // 12, months % 12 + 1, 1)


def whole(unit: str, day: date, shift: int = 0) -> Period:
    """One unit: the one with `day`, moved by `shift` units."""
    start = first_of(unit, day, shift)
    return Period(start, first_of(unit, start, 1), unit if unit != "week" else "")  # type: ignore[arg-type]


def _month(year: str, month: int) -> Period:
    return whole("month", date(int(year), month, 1))


def _day(year: str, month: str, day: str) -> Period:
    return whole("day", date(int(year), MONTHS[month], int(day)))


def _quarter(year: str, quarter: int) -> Period:
    return whole("quarter", date(int(year), 3 * quarter - 2, 1))


def _half(year: str, half: int) -> Period:
    start = date(int(year), 6 * half - 5, 1)
    return Period(start, first_of("month", start, 6))


def _rolling(text: str, unit: str, today: date) -> Period:
    """The last whole units, so many as `text` says, without the one that has `today`."""
    count = COUNTS[text] if text in COUNTS else int(text)
    return Period(first_of(unit, today, -count), first_of(unit, today))


# The longest match counts. Text: tokens with spaces between them, without accents.
Rule = tuple[str, Callable[[re.Match[str], date], Period]]
_ATOMS: tuple[Rule, ...] = (
    (_YEAR, lambda m, _: whole("year", date(int(m[1]), 1, 1))),
    (rf"({_MONTH}) (?:of )?{_YEAR}", lambda m, _: _month(m[2], MONTHS[m[1]])),
    (r"((?:19|20)\d\d) 年 (\d\d?) 月", lambda m, _: _month(m[1], int(m[2]))),
    (r"((?:19|20)\d\d)-(\d\d)", lambda m, _: _month(m[1], int(m[2]))),
    (r"((?:19|20)\d\d)-(\d\d)-(\d\d)", lambda m, _: whole("day", date(int(m[1]), int(m[2]), int(m[3])))),
    (rf"({_MONTH}) (\d\d?) (?:, )?((?:19|20)\d\d)", lambda m, _: _day(m[3], m[1], m[2])),
    (rf"(\d\d?) ({_MONTH}) ((?:19|20)\d\d)", lambda m, _: _day(m[3], m[2], m[1])),
    (rf"q([1-4]) (?:of )?{_YEAR}", lambda m, _: _quarter(m[2], int(m[1]))),
    (r"((?:19|20)\d\d) q([1-4])", lambda m, _: _quarter(m[1], int(m[2]))),
    (rf"(?:the )?({_ORDINAL}) quart(?:er|al) (?:of )?{_YEAR}", lambda m, _: _quarter(m[2], ORDINALS[m[1]])),
    (r"((?:19|20)\d\d) 年 第 ?([一二三四1-4]) 季 度", lambda m, _: _quarter(m[1], "一二三四1234".index(m[2]) % 4 + 1)),
    (rf"(?:the )?(first|second) half (?:of )?{_YEAR}", lambda m, _: _half(m[2], ORDINALS[m[1]])),
    (rf"({_LAST}) (?:个 )?(?:full )?({_UNIT})", lambda m, today: whole(_UNITS[m[2]], today, -1)),
    (rf"({_THIS}) (?:个 )?({_UNIT})", lambda m, today: whole(_UNITS[m[2]], today)),
    (rf"(?:the )?(?:{_LAST}|最 近) (\d+|{_COUNT}) ({_UNIT})", lambda m, today: _rolling(m[1], _UNITS[m[2]], today)),
    ("today|heute|今 天", lambda m, today: whole("day", today)),
    ("yesterday|gestern|昨 天", lambda m, today: whole("day", today, -1)),
    ("去 年", lambda m, today: whole("year", today, -1)),
    ("今 年", lambda m, today: whole("year", today)),
)  # fmt: skip
_ATOM_RULES = [(re.compile(rf"(?:{pattern})(?= |$)"), make) for pattern, make in _ATOMS]
_SINCE, _BEFORE = re.compile("(?:since|seit) (?:the )?(?:beginning of )?"), re.compile("(?:before|vor) ")
_AFTER = re.compile("after ")
_RANGES = (("from |between |von |zwischen ", " (?:to|until|till|through|and|bis|und) "),)


def find_period(tokens: list[str], at: int, today: date) -> tuple[Period, int] | None:
    """The longest period that begins at the token `at`, and its number of tokens; None if there is none."""
    text = " ".join(tokens[at : at + 16])
    try:
        found = _compound(text, today) or _atom(text, today)
    except (ValueError, OverflowError):  # no such day
        return None
    if found is None:
        return None
    period, length = found
    if (period.end and period.end.year >= MAXYEAR) or (period.start and period.end and period.start >= period.end):
        return None
    return period, len(text[:length].split())


def _atom(text: str, today: date) -> tuple[Period, int] | None:
    matches = [(match, make) for rule, make in _ATOM_RULES if (match := rule.match(text))]
    if not matches:
        return None
    match, make = max(matches, key=lambda pair: pair[0].end())
    return make(match, today), match.end()


def _compound(text: str, today: date) -> tuple[Period, int] | None:
    """A period with an open end, or from one to another."""
    for rule, make in (
        (_SINCE, lambda found: Period(found.start, None)),
        (_BEFORE, lambda found: Period(None, found.start)),
        (_AFTER, lambda found: Period(found.end, None)),
    ):
        if (opened := rule.match(text)) and (one := _atom(text[opened.end() :], today)):
            return make(one[0]), opened.end() + one[1]
    for opening, middle in _RANGES:
        if not (opened := re.match(opening, text)) or not (one := _atom(text[opened.end() :], today)):
            continue
        at = opened.end() + one[1]
        if (between := re.match(middle, text[at:])) and (two := _atom(text[at + between.end() :], today)):
            return Period(one[0].start, two[0].end), at + between.end() + two[1]
    return None
