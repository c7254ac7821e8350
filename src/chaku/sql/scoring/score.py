"""Scores predicted SQL against gold SQL: a verdict for each question, and the totals."""

import math
import platform
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlglot import exp

import chaku
from chaku.console import progress, show_table
from chaku.errors import ChakuError
from chaku.files import read_text, sha256_json
from chaku.sql.execute.parse import Refused, parse
from chaku.sql.execute.runner import Result, SQLiteRunner
from chaku.sql.execute.variants import NUM_VARIANTS, query_constants, write_variants
from chaku.sql.schema.definition import Schema, database_file, read_spider_tables, read_sqlite
from chaku.sql.scoring.bird import bird_ex, soft_f1, speed_reward
from chaku.sql.scoring.exact_match import LEVELS, Hardness, Matcher
from chaku.sql.scoring.execution_match import clean, order_matters, plugged, remove_distinct, same_result

MAX_ROWS = 200_000  # of a gold result
MAX_BYTES = 64_000_000
SPARE_ROWS = 20_000  # a prediction may return ten times gold's rows and SPARE_ROWS more


@dataclass(frozen=True)
class QueryPair:
    index: int
    database: str
    gold: str
    predicted: str


@dataclass
class QueryScore:
    """The verdict of one question. None: not measured (see `reason`). `ex`: by the official rule, without DISTINCT."""

    index: int
    db_id: str
    hardness: Hardness | None = None
    ex: bool | None = None
    ex_keep_distinct: bool | None = None
    ex_plug_value: bool | None = None
    ex_plug_value_keep_distinct: bool | None = None
    test_suite: bool | None = None
    em: bool | None = None
    bird_ex: bool | None = None
    r_ves: float | None = None
    soft_f1: float | None = None
    status: str = "wrong"
    gold_is_empty: bool = False
    empty_against_empty: bool = False
    gold_is_tied: bool = False
    reason: str = ""


MEASURES = ("ex", "ex_keep_distinct", "ex_plug_value", "ex_plug_value_keep_distinct", "test_suite", "em", "bird_ex",
            "r_ves", "soft_f1")  # fmt: skip


@dataclass(frozen=True)
class ScoreSettings:
    """`timeout`: seconds of one query. `num_variants`: 0 leaves test-suite EX out. `ves_runs`: 0 leaves R-VES out."""

    num_processes: int = 2
    timeout: float = 10.0
    num_variants: int = NUM_VARIANTS
    ves_runs: int = 5
    seed: int = 0


def score(
    questions: Sequence[QueryPair],
    databases: Path,
    *,
    tables: Path | None = None,
    settings: ScoreSettings | None = None,
) -> dict[str, Any]:
    """The verdicts (`rows`), the totals by level, the counts, and the settings.

    `databases`: a folder with NAME/NAME.sqlite for each database. Other .sqlite files in the folder NAME are its
    official test suite, and `ex` must then hold on all of them. `tables`: a tables.json with the foreign keys for exact
    set match; default: the database's keys. A question with a missing database or a failing gold query is counted, but
    not scored. Raises ChakuError when no question can be scored.
    """
    settings = settings or ScoreSettings()
    schemas = read_spider_tables(tables) if tables else {}
    with SQLiteRunner(settings.num_processes) as runner, progress("score", len(questions), "questions") as bar:
        scorer = _Scorer(runner, databases, schemas, settings)

        def one(question: QueryPair) -> QueryScore:
            verdict = scorer.judge(question)
            bar.advance(1)
            return verdict

        with ThreadPoolExecutor(settings.num_processes) as pool:
            verdicts = list(pool.map(one, questions))
            if settings.num_variants:
                _test_suites(scorer, questions, verdicts, pool)
    if all(verdict.ex is None for verdict in verdicts):
        raise ChakuError(
            f"no question could be scored; the first: {verdicts[0].reason}"
            if verdicts
            else "there are no questions to score; check the file of gold queries"
        )
    return {
        **_totals(verdicts),
        "manifest": {
            "chaku": chaku.__version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "gold_sha256": sha256_json([[question.gold, question.database] for question in questions]),
            "predicted_sha256": sha256_json([question.predicted for question in questions]),
            "keys_from": str(tables) if tables else "the databases",
            **asdict(settings),
        },
        "rows": [asdict(verdict) for verdict in verdicts],
    }


@dataclass
class _Scorer:
    runner: SQLiteRunner
    databases: Path
    schemas: dict[str, Schema]
    settings: ScoreSettings
    matchers: dict[str, Matcher | None] = field(default_factory=dict)

    def files(self, name: str) -> list[Path]:
        first = database_file(self.databases, name)
        return (
            [first, *sorted(path for path in first.parent.glob("*.sqlite") if path != first)] if first.is_file() else []
        )

    def run(self, path: Path, sql: str, max_rows: int = MAX_ROWS) -> Result:
        if not sql.strip():
            return Result("failed", "is empty")
        result = self.runner.run(
            path, sql, timeout=self.settings.timeout, max_rows=max_rows, max_bytes=MAX_BYTES, max_cell=MAX_BYTES
        )
        if result.truncated:
            reason = f"returned more than {max_rows} rows or {MAX_BYTES // 1_000_000} MB"
            return Result("failed", reason, truncated=True, seconds=result.seconds)
        return result

    def run_against(self, wanted: Result, path: Path, sql: str) -> Result:
        """A prediction's result; a prediction with far more rows than gold fails."""
        return self.run(path, sql, min(10 * len(wanted.rows) + SPARE_ROWS, MAX_ROWS))

    def is_beyond_repair(self, found: Result) -> bool:
        """Whether a query failed in a way that other values, or the removal of DISTINCT, cannot repair."""
        slow = found.seconds > self.settings.timeout / 2
        return not found.ok and (slow or found.truncated or found.status == "refused")

    def judge(self, question: QueryPair) -> QueryScore:
        verdict = QueryScore(question.index, question.database)
        match_reason = self._exact_match(question, verdict)
        files = self.files(question.database)
        if not files:
            verdict.status = "not scored"
            verdict.reason = f"there is no {database_file(self.databases, question.database)}"
            return verdict
        gold, predicted = clean(question.gold), clean(question.predicted)
        wanted = self.run(files[0], gold)
        if not wanted.ok:
            verdict.status, verdict.reason = "not scored", f"the gold query fails: {wanted.reason}"
            return verdict
        verdict.gold_is_empty = not wanted.rows
        verdict.gold_is_tied = self._is_tied(files[0], gold)
        found = wanted if predicted == gold else self.run_against(wanted, files[0], predicted)
        if self.is_beyond_repair(found):
            _fail(verdict, found)
            return verdict
        verdict.ex = self._agrees(files, remove_distinct(gold), remove_distinct(predicted))
        verdict.ex_keep_distinct = self._agrees(files, gold, predicted)
        verdict.ex_plug_value = verdict.ex or self._agrees_plugged(
            files, remove_distinct(gold), remove_distinct(predicted)
        )
        verdict.ex_plug_value_keep_distinct = verdict.ex_keep_distinct or self._agrees_plugged(files, gold, predicted)
        verdict.empty_against_empty = verdict.ex and found.ok and not wanted.rows and not found.rows
        verdict.bird_ex = found.ok and bird_ex(wanted.rows, found.rows)
        verdict.soft_f1 = soft_f1(wanted.rows, found.rows) if found.ok else 0.0
        verdict.r_ves = self._r_ves(files[0], gold, predicted) if verdict.bird_ex else 0.0
        if not self.settings.ves_runs:
            verdict.r_ves = None
        verdict.status = "failed" if not found.ok else "right" if verdict.ex else "wrong"
        verdict.reason = found.reason if not found.ok else "" if verdict.ex else _difference(gold, wanted, found)
        verdict.reason = verdict.reason or match_reason
        return verdict

    def _exact_match(self, question: QueryPair, verdict: QueryScore) -> str:
        name = question.database
        if name not in self.matchers:
            files, keys = self.files(name), self.schemas.get(name)
            schema = read_sqlite(files[0], num_values=0) if files else keys
            self.matchers[name] = Matcher(schema, keys) if schema else None
        matcher = self.matchers[name]
        if matcher is None:
            return "exact match: its tables are not known"
        match = matcher.compare(clean(question.gold), clean(question.predicted))
        verdict.em, verdict.hardness = match.matches, match.hardness
        return match.reason

    def _agrees(self, files: list[Path], gold: str, predicted: str) -> bool:
        for path in files:
            wanted = self.run(path, gold)
            found = wanted if predicted == gold else self.run_against(wanted, path, predicted)
            if not (wanted.ok and found.ok and same_result(wanted.rows, found.rows, ordered=order_matters(gold))):
                return False
        return True

    def _agrees_plugged(self, files: list[Path], gold: str, predicted: str) -> bool:
        wanted = self.run(files[0], gold)
        for candidate in dict.fromkeys(plugged(gold, predicted)):
            found = self.run_against(wanted, files[0], candidate)
            if self.is_beyond_repair(found):
                return False
            same = found.ok and same_result(wanted.rows, found.rows, ordered=order_matters(gold))
            if same and (len(files) == 1 or self._agrees(files, gold, candidate)):
                return True
        return False

    def _r_ves(self, path: Path, gold: str, predicted: str) -> float:
        if gold == predicted:  # timing equal texts would measure noise
            return 100 * math.sqrt(speed_reward([1.0]))
        ratios = []
        for _ in range(self.settings.ves_runs):
            found, wanted = self.run(path, predicted), self.run(path, gold)
            ratios.append(wanted.seconds / max(found.seconds, 1e-9) if found.ok else 0.0)
        return 100 * math.sqrt(speed_reward(ratios)) if ratios else 0.0

    def _is_tied(self, path: Path, gold: str) -> bool:
        """Whether the first row after a gold query's LIMIT has the same sort keys as the last row before it."""
        if (probe := tie_probe(gold)) is None:
            return False
        sql, limit = probe
        result = self.run(path, sql)
        return result.ok and len(result.rows) > limit and result.rows[limit - 1] == result.rows[limit]


def _fail(verdict: QueryScore, found: Result) -> None:
    verdict.status, verdict.reason = "failed", found.reason
    verdict.ex = verdict.ex_keep_distinct = verdict.ex_plug_value = verdict.ex_plug_value_keep_distinct = False
    verdict.bird_ex, verdict.r_ves, verdict.soft_f1 = False, 0.0, 0.0


def tie_probe(gold: str) -> tuple[str, int] | None:
    """A query for the sort keys up to one row after the LIMIT, and the LIMIT; None without ORDER BY and LIMIT."""
    if "limit" not in gold.lower():
        return None
    try:
        tree = parse(gold)
    except Refused:
        return None
    order, limit = tree.args.get("order"), tree.args.get("limit")
    if not isinstance(tree, exp.Select) or not order or not limit or not str(limit.expression).isdigit():
        return None
    results = {
        expression.alias: expression.this for expression in tree.expressions if isinstance(expression, exp.Alias)
    }
    keys = [results.get(expression.this.name, expression.this).copy() for expression in order.expressions]
    tree.set("expressions", keys)
    tree.set("distinct", None)
    number = int(str(limit.expression))
    tree.set("limit", exp.Limit(expression=exp.Literal.number(number + 1)))
    return (tree.sql(dialect="sqlite"), number) if number else None


def _difference(gold: str, wanted: Result, found: Result) -> str:
    if len(found.columns) != len(wanted.columns):
        return f"returns {len(found.columns)} columns, not {len(wanted.columns)}"
    if len(found.rows) != len(wanted.rows):
        return f"returns {len(found.rows)} rows, not {len(wanted.rows)}"
    if order_matters(gold) and same_result(wanted.rows, found.rows, ordered=False):
        return "returns the rows in another order"
    return "returns other rows"


def _test_suites(
    scorer: _Scorer, questions: Sequence[QueryPair], verdicts: Sequence[QueryScore], pool: ThreadPoolExecutor
) -> None:
    """Test-suite EX: a prediction that is right on the database must be right on every variant of it."""
    by_database: dict[str, list[tuple[QueryPair, QueryScore]]] = defaultdict(list)
    for question, verdict in zip(questions, verdicts, strict=True):
        if verdict.ex is not None:
            # Equal texts have equal results on every database.
            verdict.test_suite = verdict.ex and clean(question.gold) == clean(question.predicted)
            if verdict.ex and not verdict.test_suite:
                by_database[question.database].append((question, verdict))
    total = sum(map(len, by_database.values()))
    shown: AbstractContextManager[Any] = progress("test suites", total, "questions") if total else nullcontext()
    with shown as bar, tempfile.TemporaryDirectory(prefix="chaku-variants-") as directory:
        for name, pairs in by_database.items():
            constants = query_constants(question.gold for question in questions if question.database == name)
            variants = write_variants(
                scorer.files(name)[0],
                Path(directory),
                constants=constants,
                num_variants=scorer.settings.num_variants,
                seed=scorer.settings.seed,
            )
            passed = pool.map(lambda pair: _passes(scorer, pair[0], variants), pairs)  # noqa: B023
            for (_, verdict), passes in zip(pairs, passed, strict=True):
                verdict.test_suite = passes
                if not passes and not verdict.reason:
                    verdict.reason = "right on the database, but wrong on a variant of it"
                bar.advance(1)
            for path in variants:
                path.unlink()


def _passes(scorer: _Scorer, question: QueryPair, variants: list[Path]) -> bool:
    gold, predicted = (remove_distinct(clean(sql)) for sql in (question.gold, question.predicted))
    return scorer._agrees([path for path in variants if scorer.run(path, gold).ok], gold, predicted)


def _totals(verdicts: Sequence[QueryScore]) -> dict[str, Any]:
    levels: dict[str, Sequence[QueryScore]] = {
        level: [verdict for verdict in verdicts if verdict.hardness == level] for level in LEVELS
    }
    levels["all"] = verdicts

    def mean(rows: Sequence[QueryScore], measure: str) -> float | None:
        values = [value for row in rows if (value := getattr(row, measure)) is not None]
        return sum(values) / len(values) if values else None

    def number(key: Callable[[QueryScore], Any]) -> int:
        return sum(bool(key(verdict)) for verdict in verdicts)

    return {
        **{measure: mean(verdicts, measure) for measure in MEASURES},
        "by_hardness": {
            level: {"count": len(rows), **{measure: mean(rows, measure) for measure in MEASURES}}
            for level, rows in levels.items()
        },
        "counts": {
            "questions": len(verdicts),
            "scored": number(lambda score: score.ex is not None),
            "not_scored": number(lambda score: score.ex is None),
            "failed": number(lambda score: score.status == "failed"),
            "gold_is_empty": number(lambda score: score.gold_is_empty),
            "empty_against_empty": number(lambda score: score.empty_against_empty),
            "gold_is_tied": number(lambda score: score.gold_is_tied),
            "tied_and_right": number(lambda score: score.gold_is_tied and score.ex),
        },
    }


def read_questions(gold: Path, predicted: Path) -> list[QueryPair]:
    """Pair the lines `SQL<tab>db_id` of a gold file with the lines of a prediction file, or with BIRD's JSON.

    Blank gold lines, which separate dialogues, are left out. A blank line of predictions is an empty prediction.
    Raises ChakuError for a gold line without a database, and for different numbers of lines.
    """
    wanted = []
    for number, line in enumerate(_lines(gold), 1):
        if line.strip():
            sql, tab, database = line.rpartition("\t")
            if not tab or not database.strip():
                raise ChakuError(f"{gold}, line {number}: the SQL must be followed by a tab and the database's name")
            wanted.append((sql.strip(), database.strip()))
    if predicted.suffix == ".json":
        from chaku.files import read_json

        texts = [str(text).split("\t----- bird -----\t")[0] for text in read_json(predicted).values()]
    else:
        texts = [line.split("\t")[0].strip() for line in _lines(predicted)]
        if len(texts) != len(wanted):
            texts = [text for text in texts if text]
    if len(texts) != len(wanted):
        raise ChakuError(f"{predicted} has {len(texts)} predictions for the {len(wanted)} questions of {gold}")
    pairs = zip(wanted, texts, strict=True)
    return [QueryPair(index, database, sql, text) for index, ((sql, database), text) in enumerate(pairs)]


def _lines(path: Path) -> list[str]:
    return read_text(path).removesuffix("\n").split("\n")


def show_scores(scores: dict[str, Any]) -> None:
    """Print the totals as a table, by level."""
    levels = [*LEVELS, "all"]
    by_level = scores["by_hardness"]
    rows: list[list[object]] = [["count", *(by_level[level]["count"] for level in levels)]]
    for measure in MEASURES:
        if scores[measure] is not None:
            values = [by_level[level][measure] for level in levels]
            rows.append([measure, *("-" if value is None else float(value) for value in values)])
    show_table("SQL", ["", *levels], rows)
    show_table("", ["", "questions"], [[name.replace("_", " "), count] for name, count in scores["counts"].items()])
