"""Corrects a query's dates by rule where the question says one period in words, such as "in 2022" or "letztes Jahr".

A small model reads "in 2022" as a day (`day = '2022-07-24'`), does not know today's date, and compares a text with a
number (`strftime('%Y', day) = 2022`), which no row fits. What the words say is exact, so a rule decides it.
"""

import re
from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.check import parse_query
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import write_sql
from chaku.sql.glossary.dates import MONTHS, ORDINALS, Period, find_period, whole
from chaku.sql.glossary.metrics import during
from chaku.sql.glossary.storage import date_form
from chaku.sql.glossary.text import tokens_of
from chaku.sql.schema.definition import Schema

# Words that take a part of a period: "the first week of 2022", "Ende 2022", "2022年初". No rule reads such a question.
_PARTS = """first last earliest latest early late begin beginning start end middle eve day days date dates week weeks
weekend month months quarter quarters except not without compare compared than anfang beginn mitte ende fruh spat
tag tage tagen woche wochen monat monate monaten quartal quartale erste ersten erster erstes letzte letzten letzter ohne
hour hours noon half h1 h2 fy fiscal summer winter spring autumn fall christmas easter thanksgiving friday
outside but other within including inclusive starting onward onwards forward later newer older ab sommer herbst fruhling
fruhjahr weihnachten weihnachtstag ostern silvester neujahr ausserhalb andere anderen einschliesslich stunde
初 末 底 前 后 以 日 天 周 月 号 季 首 第 除 比 起 自 从 春 夏 秋 冬"""
PARTS = frozenset((*_PARTS.split(), *MONTHS, *ORDINALS))
UP_TO = frozenset("by until till to through bis nach 到 至".split())  # noqa: SIM905
# Before a number, these make it a year: "room 2022" and "above 2000" are none. German says "gab es 2022" too.
_OF_TIME = """in of for during from throughout im von fur aus wahrend es gab waren wurden war wurde hatte hatten
haben"""
OF_TIME = frozenset(_OF_TIME.split())
# With these words, a right query may read the rows of all years: "What share was in 2022?", "orders we have today".
_ALL_ROWS = """share percent percentage proportion fraction ratio rank growth grow grew grown change changed versus vs
against among before never no today anteil prozent wachstum gewachsen rang vergleich nie kein keine keinen heute
占 今 没 未"""
ALL_ROWS = frozenset(_ALL_ROWS.split())
UNITS = {4: "year", 7: "month", 10: "day"}  # by the length of a literal
DIGITS = {"%Y": 4, "%m": 2, "%d": 2}  # of the texts that strftime writes
YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
# Columns that keep the rule away: a year of their own may be meant, and nobody means the birth with "in 2022".
OTHER_TIMES = re.compile("year|jahr|birth|born|dob$|geburt|geboren", re.IGNORECASE)
DAY = re.compile(r"(\d{1,9})(?:st|nd|rd|th)?", re.ASCII)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Like, exp.Glob)


@dataclass(frozen=True)
class SaidPeriod:
    """The only period of a question. `words`: of the question. `relative`: without a year, as "last year" is.

    `numbers`: the question's other numbers, which may be the day of a date. `is_needed`: whether a query without it
    lacks it; a number that follows no word of time may be no year.
    """

    period: Period
    words: str
    relative: bool
    numbers: frozenset[int] = frozenset()
    is_needed: bool = True

    @property
    def hint(self) -> str:
        """What the words mean, for a model that does not know today's date; "" if the words say it."""
        return f"{self.words} is {self.period};" if self.relative else ""


def said_period(question: str, today: date) -> SaidPeriod | None:
    """The period of a question; None if it says none, several, or only a part of one."""
    tokens = tokens_of(question)
    found, others, at, is_time = [], [], 0, False
    while at < len(tokens):
        if one := find_period(tokens, at, today):
            period, length = one
            before, after = tokens[max(0, at - 1) : at], tokens[at + length : at + length + 1]
            if UP_TO & {*before} or before == ["new"] or after == ["on"]:  # "New Year 2022", "from 2022 on"
                return None
            words = " ".join(tokens[at : at + length])
            is_time = not before or before[0] in OF_TIME or not re.fullmatch(r"[\d-]+", words)
            found.append((period, words))
            at += length
        else:
            others.append(tokens[at])
            at += 1
    if len(found) != 1 or PARTS & {*others}:
        return None
    [(period, words)] = found
    numbers = frozenset(int(day[1]) for token in others if (day := DAY.fullmatch(token)))
    is_needed = is_time and not ALL_ROWS & {*others, *words.split()[-1:]}
    return SaidPeriod(period, words, not re.search(r"\d{4}", words), numbers, is_needed)


def correct_period(sql: str, said: SaidPeriod, schema: Schema) -> tuple[str, tuple[str, ...]]:
    """The query with the period that the question says, and a sentence for each correction.

    A comparison of a date with one literal is corrected if the literal lies in the period (a day or month of 2022 for
    "in 2022", or a bound without the other one), or if the question's period is relative to today. Other dates stay. A
    query without any date gets the period as a condition if its tables have one column of dates.
    """
    try:
        tree = parse_query(sql, schema)
    except Refused:
        return sql, ()
    changes = [*_as_texts(tree, schema), *_as_period(tree, said, schema)] or _added(tree, said, schema)
    if not changes:
        return sql, ()
    try:
        return write_sql(tree, schema.dialect), tuple(changes)
    except Refused:
        return sql, ()


def _as_texts(tree: exp.Expr, schema: Schema) -> list[str]:
    """Compare strftime's text with a text of its length, in an engine that never finds a number equal to a text."""
    changes = []
    for node in tree.find_all(exp.EQ) if ENGINES[schema.dialect].text_dates else ():
        digits = DIGITS.get(node.this.args["format"].name) if isinstance(node.this, exp.TimeToStr) else None
        value = node.expression
        if digits and isinstance(value, exp.Literal) and value.name.isdecimal() and len(value.name) <= digits:
            text = exp.Literal.string(value.name.zfill(digits))
            if text != value:
                changes.append(f"{value.sql()} was read as {text.sql()}")
                value.replace(text)
    return changes


def _as_period(tree: exp.Expr, said: SaidPeriod, schema: Schema) -> list[str]:
    """Replace the query's only comparison of a date, if it is not what the question says."""
    found = [node for node in tree.find_all(*COMPARISONS) if _is_of_date(node, schema)]
    if len(found) != 1 or not isinstance(node := found[0], exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
        return []
    column, text = node.find(exp.Column), node.expression.find(exp.Literal)
    compared = _period_of(text.name) if text is not None else None
    if column is None or text is None or compared is None or node.find_ancestor(exp.Not):
        return []
    is_day = isinstance(node.this, exp.Column | exp.Date | exp.TsOrDsToDate | exp.Cast)
    if not is_day and not said.relative:  # strftime('%Y', day) = '2022' is right as it is
        return []
    if not _is_wrong(node, text.name, compared, said):
        return []
    old = node.sql(dialect=schema.dialect)
    condition = during(column, said.period, "date", schema.dialect)
    node.replace(condition if isinstance(node.parent, exp.Where | exp.And | exp.Paren) else exp.paren(condition))
    return [f'"{said.words}" is taken as {column.name} {said.period}, in the place of {old}']


def _added(tree: exp.Expr, said: SaidPeriod, schema: Schema) -> list[str]:
    """Add the period to a query without dates, years and subqueries, whose tables have one column of dates.

    A table that is joined to itself has two, and a window may need the rows before the period.
    """
    tables = [table.name.lower() for table in tree.find_all(exp.Table)]
    joins = tree.args.get("joins") or []
    if (
        not said.is_needed
        or not isinstance(tree, exp.Select)
        or len({*tables}) < len(tables)
        or tree.find(exp.Window)
        or len(list(tree.find_all(exp.Query))) > 1
        or any(join.side or join.kind not in ("", "INNER") for join in joins)
        or any(YEAR.search(literal.name) for literal in tree.find_all(exp.Literal))
    ):
        return []
    named = {table.name.lower(): table.alias_or_name for table in tree.find_all(exp.Table)}
    columns = [
        (named[table.bare_name.lower()], column.name, date_form(column, schema.dialect))
        for table in schema.tables
        if table.bare_name.lower() in named
        for column in table.columns
    ]
    dates = [column for column in columns if column[2]]
    if len(dates) != 1 or dates[0][2] != "date" or any(OTHER_TIMES.search(name) for _, name, _ in columns):
        return []
    [(table, name, form)] = dates
    conditions = [part for part in (tree.args.get("where"), tree.args.get("having"), *joins) if part]
    conditions += tree.find_all(*COMPARISONS, exp.Case, exp.If, exp.Filter)
    if any(node.name.lower() == name.lower() for part in conditions for node in part.find_all(exp.Column)):
        return []
    column = exp.column(name, table=table if joins else None)
    tree.where(during(column, said.period, form, schema.dialect), copy=False)
    return [f'"{said.words}" is taken as {name} {said.period}, which the query left out']


def _is_wrong(node: exp.Expr, text: str, compared: Period, said: SaidPeriod) -> bool:
    """Whether a comparison with one literal cannot be what the question says."""
    period = said.period
    is_said = compared == period and (len(text) == len("2024-05-31") or not isinstance(node.this, exp.Column))
    if isinstance(node, exp.EQ) and is_said:
        return False
    if period.start is None or period.end is None:  # "since 2022" and "before 2022" are bounds
        return isinstance(node, exp.EQ)
    if said.relative:
        return True
    assert compared.start
    if {compared.start.month, compared.start.day} & said.numbers and len(text) > len("2024"):
        return False
    assert compared.end
    return period.start <= compared.start and compared.end <= period.end


def _period_of(text: str) -> Period | None:
    """The year, month or day that a literal writes."""
    if not re.fullmatch(r"(?:19|20)\d\d(?:-\d\d){0,2}", text):
        return None
    try:
        return whole(UNITS[len(text)], date.fromisoformat(f"{text}-01-01"[:10]))
    except ValueError:
        return None


def _is_of_date(node: exp.Expr, schema: Schema) -> bool:
    """Whether a comparison is about a column of dates, in each table of the query that has a column of its name."""
    tree = node.root()
    tables = {table.name.lower() for table in tree.find_all(exp.Table)}
    forms = {
        date_form(column, schema.dialect)
        for named in node.this.find_all(exp.Column)
        for table in schema.tables
        if table.bare_name.lower() in tables
        for column in table.columns
        if column.name.lower() == named.name.lower()
    }
    return forms == {"date"}
