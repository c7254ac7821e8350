from datetime import date

import pytest

from chaku.sql.glossary.dates import find_period
from chaku.sql.glossary.text import tokens_of

LEAP_DAY = date(2024, 2, 29)  # a Thursday


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("December 2023", (2023, 12, 1), (2024, 1, 1)),
        ("2023-05", (2023, 5, 1), (2023, 6, 1)),
        ("2023-05-31", (2023, 5, 31), (2023, 6, 1)),
        ("Q4 2023", (2023, 10, 1), (2024, 1, 1)),
        ("the second half of 2023", (2023, 7, 1), (2024, 1, 1)),
        ("third quarter of 2023", (2023, 7, 1), (2023, 10, 1)),
        ("last month", (2024, 1, 1), (2024, 2, 1)),
        ("last quarter", (2023, 10, 1), (2024, 1, 1)),
        ("this quarter", (2024, 1, 1), (2024, 4, 1)),
        ("last week", (2024, 2, 19), (2024, 2, 26)),
        ("last 3 months", (2023, 11, 1), (2024, 2, 1)),
        ("the past 7 days", (2024, 2, 22), (2024, 2, 29)),
        ("today", (2024, 2, 29), (2024, 3, 1)),
        ("yesterday", (2024, 2, 28), (2024, 2, 29)),
        ("between 2022 and March 2023", (2022, 1, 1), (2023, 4, 1)),
        ("since the beginning of 2023", (2023, 1, 1), None),
        ("before May 2023", None, (2023, 5, 1)),
        ("after 2022", (2023, 1, 1), None),
        ("letzten Monat", (2024, 1, 1), (2024, 2, 1)),
        ("März 2023", (2023, 3, 1), (2023, 4, 1)),
        ("2023年5月", (2023, 5, 1), (2023, 6, 1)),
        ("2023年第四季度", (2023, 10, 1), (2024, 1, 1)),
        ("去年", (2023, 1, 1), (2024, 1, 1)),
        ("上个月", (2024, 1, 1), (2024, 2, 1)),
        ("最近30天", (2024, 1, 30), (2024, 2, 29)),
    ],
)
def test_a_period_is_its_days(text, start, end):
    tokens = tokens_of(text)
    period, length = find_period(tokens, 0, LEAP_DAY)
    assert (period.start, period.end) == (start and date(*start), end and date(*end))
    assert length == len(tokens)


@pytest.mark.parametrize(
    "text", ["March", "31 February 2023", "2023-13", "between 2024 and 2022", "next month", "last 99999 years", "1000"]
)
def test_no_period_is_guessed(text):
    found = find_period(tokens_of(text), 0, LEAP_DAY)
    assert found is None or found[1] < len(tokens_of(text))
