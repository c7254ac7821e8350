"""Text-to-SQL's figures: agreement with the official evaluator, scoring speed, what a grammar costs and brings.

    git clone https://github.com/taoyds/test-suite-sql-eval official && pip install nltk sqlparse tqdm
    CHAKU_BENCHMARKS=... python benchmarks/sql.py --official official --model runs/demo/stages/sql --out sql.json

Each part runs where what it needs is given: Spider under $CHAKU_BENCHMARKS; a model that learnt about its run's shop.
Predictions with planted errors of every kind are made from the gold queries and scored by both. The official
code runs on a copy of the databases, for it opens them to write.
"""

import argparse
import copy
import importlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from chaku.console import say, show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.sql.schema.definition import read_sqlite
from chaku.sql.scoring.score import QueryPair, ScoreSettings, read_questions, score
from planted_errors import plant
from sql_decoding import measure_decoding

EX_MODES = {
    "ex": (False, False),
    "ex_keep_distinct": (False, True),
    "ex_plug_value": (True, False),
    "ex_plug_value_keep_distinct": (True, True),
}  # measure -> (plug_value, keep_distinct)
MAX_SHOWN = 12  # disagreements a measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, help="a checkout of the official evaluator")
    parser.add_argument("--model", type=Path, help="the sql stage of a run of recipes/demo.toml")
    parser.add_argument("--every", type=int, default=1, help="plant errors in every Nth question only")
    parser.add_argument("--split", choices=["dev", "train"], default="dev")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder and not options.model:
        raise ChakuError("set CHAKU_BENCHMARKS to the folder with spider/, or give --model")
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    if options.model:
        figures["decoding"] = measure_decoding(options.model, options.model.parents[1] / "shop")
    if folder:
        spider = Path(folder) / "spider"
        gold = spider / f"{options.split}_gold.sql"
        figures["speed"] = measure_speed(spider, gold)
        if options.official:
            figures["agreement"] = measure_agreement(spider, gold, options.official.resolve(), options.every)
    if options.out:
        write_json(options.out, figures)


def measure_speed(spider: Path, gold: Path) -> dict[str, Any]:
    """Seconds to score all gold queries against themselves, and against the queries of other questions."""
    questions = read_questions(gold, gold)
    figures = {}
    shifted = [
        QueryPair(question.index, question.database, question.gold, _other(questions, question.index).gold)
        for question in questions
    ]
    for name, pairs in (("gold against itself", questions), ("gold against another question's", shifted)):
        started = time.perf_counter()
        found = score(pairs, spider / "database", tables=spider / "tables.json")
        seconds = time.perf_counter() - started
        figures[name] = {"seconds": seconds, **{key: found[key] for key in ("ex", "em", "test_suite", "counts")}}
    rows: list[list[object]] = [[name, value["seconds"], value["ex"], value["em"]] for name, value in figures.items()]
    show_table("Scoring", ["", "seconds", "ex", "em"], rows)
    return figures


def _other(questions: list[QueryPair], index: int) -> QueryPair:
    """The next question of the same database, from the first again after the last."""
    same = [question for question in questions if question.database == questions[index].database]
    return same[(next(place for place, question in enumerate(same) if question.index == index) + 1) % len(same)]


def planted(spider: Path, gold: Path, every: int) -> tuple[list[str], list[QueryPair]]:
    """The kinds of error, and the questions with the predictions that have them."""
    questions = read_questions(gold, gold)
    schemas = {}
    kinds: list[str] = []
    made: list[QueryPair] = []
    for question in questions[::every]:
        database = spider / "database" / question.database / f"{question.database}.sqlite"
        if not database.is_file():
            continue
        if question.database not in schemas:
            schemas[question.database] = read_sqlite(database, num_values=0)
        for kind, text in plant(question.gold, _other(questions, question.index).gold, schemas[question.database]):
            kinds.append(kind)
            made.append(QueryPair(len(made), question.database, question.gold, text))
    return kinds, made


def measure_agreement(spider: Path, gold: Path, official: Path, every: int) -> dict[str, Any]:
    """The share of predictions with the same verdict from both, by measure and by kind of error."""
    kinds, questions = planted(spider, gold, every)
    say(f"{len(questions)} predictions with {len(set(kinds))} kinds of error")
    settings = ScoreSettings(num_variants=0, ves_runs=0)
    ours = score(questions, spider / "database", tables=spider / "tables.json", settings=settings)["rows"]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        for name in sorted({question.database for question in questions}):
            shutil.copytree(spider / "database" / name, Path(directory) / name)
        jobs = [(question, Path(directory), official, spider / "tables.json") for question in questions]
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            theirs = list(pool.map(official_verdict, jobs, chunksize=50))
    say(f"the official evaluator took {time.perf_counter() - started:.0f} s")
    figures: dict[str, Any] = {"predictions": len(questions)}
    table: list[list[object]] = []
    for measure in (*EX_MODES, "em", "hardness"):
        pairs = [
            (kind, question, mine[measure], his[measure], his)
            for kind, question, mine, his in zip(kinds, questions, ours, theirs, strict=True)
            if his[measure] is not None
        ]
        apart = [pair for pair in pairs if pair[2] != pair[3]]
        causes = Counter(_cause(measure, *difference) for difference in apart)
        figures[measure] = {
            "compared": len(pairs),
            "agree": (len(pairs) - len(apart)) / len(pairs),
            "disagree": len(apart),
            "causes": dict(causes),
            "by_kind": _by_kind(pairs),
            "shown": _examples(measure, apart),
        }
        table.append([measure, len(pairs), figures[measure]["agree"] * 100, len(apart), causes["unexplained"]])
    show_table("Agreement", ["", "predictions", "agree, %", "disagree", "unexplained"], table)
    for measure in (*EX_MODES, "em", "hardness"):
        for cause, number in figures[measure]["causes"].items():
            say(f"{measure}: {number} {cause}")
    return figures


def _examples(measure: str, apart: list[tuple[Any, ...]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind, question, mine, his, verdict in apart:
        shown = found[_cause(measure, kind, question, mine, his, verdict)]
        if len(shown) < MAX_SHOWN:
            queries = {"db": question.database, "gold": question.gold, "predicted": question.predicted}
            shown.append({"kind": kind, **queries, "ours": mine, "official": his})
    return found


def _by_kind(pairs: list[tuple[Any, ...]]) -> dict[str, dict[str, float]]:
    found: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for kind, _, mine, his, _ in pairs:
        found[kind].append(mine == his)
        right[kind].append(his == 1)
    return {
        kind: {"count": len(same), "agree": sum(same) / len(same), "official": sum(right[kind]) / len(same)}
        for kind, same in found.items()
    }


def _cause(measure: str, kind: str, question: QueryPair, mine: Any, his: Any, verdict: dict[str, Any]) -> str:
    """Why the verdicts differ, where a known flaw of the official code explains it."""
    if "value" in question.predicted and verdict["without_value_rule"].get(measure) == mine:
        return "the official code replaces `value` inside the prediction by 1"
    if measure == "ex_keep_distinct" and question.predicted.rstrip().endswith(";;"):
        return "the official code takes a second semicolon for a second statement, when it keeps DISTINCT"
    if measure == "ex_keep_distinct" and not question.predicted:
        return "the official code has an empty prediction return nothing, as gold does, when it keeps DISTINCT"
    if measure == "em" and mine and verdict["parse_error"]:
        return f"the official parser gives up: {kind}"
    return "unexplained"


_loaded: dict[Path, Any] = {}


def official_verdict(job: tuple[QueryPair, Path, Path, Path]) -> dict[str, Any]:
    """The official code's verdicts; None where it raises on the gold query."""
    question, databases, official, tables = job
    text = question.predicted.replace("value", "1")  # as the official code does first
    verdict = _verdict(question, text, databases, official, tables)
    verdict["without_value_rule"] = (
        _verdict(question, question.predicted, databases, official, tables) if text != question.predicted else {}
    )
    return verdict


def _verdict(question: QueryPair, predicted: str, databases: Path, official: Path, tables: Path) -> dict[str, Any]:
    evaluation, process_sql, exec_eval, keys = _load(official, tables)
    path = str(databases / question.database / f"{question.database}.sqlite")
    verdict: dict[str, Any] = {"parse_error": ""}
    for measure, (plug_value, keep_distinct) in EX_MODES.items():
        try:
            verdict[measure] = bool(
                exec_eval.eval_exec_match(path, predicted, question.gold, plug_value, keep_distinct, False)
            )
        except Exception as error:
            verdict[measure] = False
            verdict["parse_error"] = f"{type(error).__name__}: {error}"
    schema = process_sql.Schema(process_sql.get_schema(path))
    try:
        gold = process_sql.get_sql(schema, question.gold)
    except Exception:
        return {**verdict, "em": None, "hardness": None}
    verdict["hardness"] = evaluation.Evaluator().eval_hardness(gold)
    try:
        found = process_sql.get_sql(schema, predicted)
    except Exception as error:
        verdict["parse_error"] = f"{type(error).__name__}: {error}"
        found = copy.deepcopy(EMPTY)
    pair = []
    for query in (found, gold):
        units = evaluation.build_valid_col_units(query["from"]["table_units"], schema)
        rebuilt = evaluation.rebuild_sql_val(query)
        pair.append(evaluation.rebuild_sql_col(units, rebuilt, keys[question.database]))
    try:
        verdict["em"] = bool(evaluation.Evaluator().eval_exact_match(*pair))
    except Exception as error:
        verdict["em"], verdict["parse_error"] = False, f"{type(error).__name__}: {error}"
    return verdict


EMPTY: dict[str, Any] = {
    "select": [False, []], "from": {"conds": [], "table_units": []}, "where": [], "groupBy": [], "having": [],
    "orderBy": [], "limit": None, "intersect": None, "union": None, "except": None,
}  # fmt: skip


def _load(official: Path, tables: Path) -> Any:
    if official not in _loaded:
        import nltk

        # The same tokenizer without its sentence splitter, whose data is a download of its own.
        nltk.word_tokenize = nltk.tokenize.NLTKWordTokenizer().tokenize
        sys.path.insert(0, str(official))
        modules = [importlib.import_module(name) for name in ("evaluation", "process_sql", "exec_eval")]
        _loaded[official] = (*modules, modules[0].build_foreign_key_map_from_json(tables))
    return _loaded[official]


if __name__ == "__main__":
    main()
