"""The reward for SQL: the rows of the right query, on the database and on variants of it.

A variant has other rows, so a query that is right by luck, or that holds the answer as a constant, is found out
(`sql/execute/variants.py`).
"""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlglot import exp

from chaku.console import progress
from chaku.machine import num_cores
from chaku.reinforcement.rewards import Judged, Waiting
from chaku.reinforcement.tasks import Task
from chaku.sql.ask.replies import extract_sql
from chaku.sql.execute.parse import Refused, parse
from chaku.sql.execute.runner import Result, SQLiteRunner
from chaku.sql.execute.variants import query_constants, write_variants
from chaku.sql.schema.definition import database_file
from chaku.sql.scoring.execution_match import clean, order_matters, same_result
from chaku.sql.scoring.score import tie_probe

RUNS = 0.1  # the reward of a query that runs on the tables of the right query and returns rows (Arctic-Text2SQL-R1)
NUM_VARIANTS = 4
SPARE_ROWS = 1000  # a query may return ten times the right query's rows and SPARE_ROWS more
MAX_BYTES = 4_000_000  # of a result


class QueryReward:
    """1 for the right rows on the database and on every variant of it, RUNS for a query that runs, else 0.

    The fields of a row: `query`, the right query, and `database`, its name in the folder `databases`. Refuses a task
    whose right query fails, has tied rows at its LIMIT, or returns the same rows, or none, on all variants: its reward
    would not tell right from wrong.
    """

    def __init__(self, tasks: Sequence[Task], databases: Path, timeout: float = 3.0, num_variants: int = NUM_VARIANTS):
        num_processes = num_cores()
        self._timeout = timeout
        self._runner = SQLiteRunner(num_processes)
        self._threads = ThreadPoolExecutor(num_processes, "queries")
        self._folder = tempfile.TemporaryDirectory(prefix="chaku-rewards-")
        self._files: dict[str, list[Path]] = {}
        self._gold: dict[str, list[Result]] = {}  # by the key of the task: the right rows on each file
        self._problems: dict[str, str] = {}
        by_database: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            by_database[str(task.fields.get("database") or "")].append(task)
        try:
            for name, of_database in by_database.items():
                self._prepare(name, of_database, databases, num_variants)
        except BaseException:
            self.close()
            raise

    def problem(self, task: Task) -> str:
        return self._problems[task.key]

    def submit(self, task: Task, text: str) -> Waiting:
        return self._threads.submit(self._judge, task, clean(extract_sql(text))).result

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._runner.close()
        self._folder.cleanup()

    def _prepare(self, name: str, tasks: Sequence[Task], databases: Path, num_variants: int) -> None:
        """Write the variants of a database, and run the right queries on all of them."""
        path = database_file(databases, name) if name else None
        usable = [task for task in tasks if isinstance(task.fields.get("query"), str)]
        self._problems |= {task.key: 'the row has no "query" and "database"' for task in tasks}
        if path is None or not path.is_file():
            self._problems |= {task.key: f"there is no database {path}" for task in usable if path}
            return
        folder = Path(self._folder.name) / str(len(self._files))
        folder.mkdir()
        queries = [clean(task.fields["query"]) for task in usable]
        variants = write_variants(path, folder, constants=query_constants(queries), num_variants=num_variants)
        self._files[name] = [path, *variants]
        with progress(f"right rows of {name}", len(usable), "queries") as bar:

            def run(query: str) -> tuple[list[Result], str]:
                results = [self._run(file, query) for file in self._files[name]]
                problem = self._fault(query, path, results)
                bar.advance(1)
                return results, problem

            for task, (results, problem) in zip(usable, self._threads.map(run, queries), strict=True):
                self._gold[task.key], self._problems[task.key] = results, problem

    def _fault(self, query: str, path: Path, results: Sequence[Result]) -> str:
        if not all(result.ok for result in results):
            return "the right query fails"
        if not any(result.rows for result in results):
            return "the right query returns no rows on any variant of the database"
        if len(results) > 1 and all(result.rows == results[0].rows for result in results):
            return "the right query returns the same rows on every variant, so a constant would pass"
        if (probe := tie_probe(query)) is not None:
            sql, limit = probe
            keys = self._run(path, sql).rows
            if len(keys) > limit and keys[limit - 1] == keys[limit]:
                return "the right query has tied rows at its LIMIT, so several answers are right"
        return ""

    def _judge(self, task: Task, query: str) -> Judged:
        gold, files = self._gold[task.key], self._files[task.fields["database"]]
        tables = _tables(query)
        if not tables & _tables(clean(task.fields["query"])):
            return Judged(0.0, False, "reads none of the tables of the right query", False)
        if not _reads_cells(query):
            return Judged(0.0, False, "returns only constants", False)
        ordered = order_matters(task.fields["query"])
        first: Result | None = None
        shown: bool | None = None
        for number, (wanted, path) in enumerate(zip(gold, files, strict=True)):
            found = self._run(path, query, 10 * len(wanted.rows) + SPARE_ROWS)
            first = first or found
            # Two empty results are alike only if they have the same columns.
            right = found.ok and len(found.columns) == len(wanted.columns)
            if not (right and same_result(wanted.rows, found.rows, ordered=ordered)):
                runs = first.ok and bool(first.rows)
                where = "" if number == 0 else " on a variant of the database"
                reason = found.reason or f"returns other rows{where}"
                return Judged(RUNS if runs else 0.0, False, reason, bool(shown))
            shown = True  # the model could have seen the rows of the database, not those of a variant
        return Judged(1.0, True, "", True)

    def _run(self, path: Path, query: str, max_rows: int = 20_000) -> Result:
        if not query.strip():
            return Result("failed", "there is no query")
        result = self._runner.run(
            path, query, timeout=self._timeout, max_rows=max_rows, max_bytes=MAX_BYTES, max_cell=MAX_BYTES
        )
        return Result("failed", f"returns more than {max_rows} rows") if result.truncated else result


def _reads_cells(query: str) -> bool:
    """Whether the results of a query that parses depend on cells or rows, and are no constants."""
    select = parse(query).find(exp.Select)
    results = select.expressions if select is not None else []
    return any(result.find(exp.Column, exp.Star) is not None for result in results)


def _tables(query: str) -> set[str]:
    """The names of the tables that a query reads, in small letters; empty for a text that is no query."""
    try:
        tree = parse(query)
    except Refused:
        return set()
    return {table.name.lower() for table in tree.find_all(exp.Table)}
