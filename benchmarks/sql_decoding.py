"""What decoding under a schema's grammar costs, and how many more queries run for it.

Cost: a model of the demo's size (2.4M parameters, vocabulary 2,048) writes k samples under the grammar; then the same
tokens are replayed with no grammar, so both sides run the same steps in the same batches. Share of executable queries:
the same samples with and without the grammar, run on the database. `--model` measures a trained model in place of one
with random weights, which says what the grammar alone does.

    python benchmarks/sql_decoding.py --out sql_decoding.json [--model DIR]
"""

import argparse
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from chaku.console import say, show_table
from chaku.files import write_json
from chaku.inference import engine as engine_module
from chaku.inference.constraints import Constraint, Vocabulary
from chaku.inference.engine import Completion, Engine
from chaku.inference.prompts import complete
from chaku.inference.sampling import SamplingParams, choose
from chaku.model import PRESETS, Llama
from chaku.sql.execute import SQLiteRunner
from chaku.sql.grammar import sql_grammar
from chaku.sql.schema import read_sqlite
from chaku.tokens.tokenizer_training import train_tokenizer

TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, country TEXT, joined DATE);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, category TEXT, price REAL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), status TEXT, placed DATE);
CREATE TABLE order_items (order_id INTEGER REFERENCES orders (id), product_id INTEGER REFERENCES products (id),
    quantity INTEGER, unit_price REAL);
CREATE TABLE reviews (id INTEGER PRIMARY KEY, product_id INTEGER REFERENCES products (id), stars INTEGER, body TEXT);
"""
QUESTION = "-- How many orders did customers from France place?\nSELECT"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory) / "shop.sqlite"
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(TABLES)
        engine = _load(options.model) if options.model else _random()
        constraint = Constraint(Vocabulary(engine.tokenizer), sql_grammar(read_sqlite(database)))
        prompt = complete(engine.tokenizer, TABLES + QUESTION.removesuffix("SELECT"))
        costs = [_cost(engine, constraint, prompt, rows, options.repeats) for rows in (1, 4, 8, 16)]
        shares = [_share(engine, each, prompt, database, options.queries) for each in (None, constraint)]
    show_table(
        "decoding under the grammar",
        ["samples at once", "ms a step", "free, ms a step", "times"],
        [[cost["samples"], cost["constrained_ms"], cost["free_ms"], cost["ratio"]] for cost in costs],
    )
    say(f"executable queries: {shares[0]:.3f} free, {shares[1]:.3f} under the grammar")
    about = {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    record = {"costs": costs, "executable": {"free": shares[0], "grammar": shares[1]}, "queries": options.queries}
    write_json(options.out, {**record, **about, "model": str(options.model or "random, demo's shape")})


def _random() -> Engine:
    """The demo's shape with random weights, and a tokenizer trained on chaku's own source."""
    sources = Path(engine_module.__file__).parents[1].rglob("*.py")
    tokenizer = train_tokenizer([path.read_text() for path in sources], 2048)
    torch.manual_seed(1)
    return Engine(Llama(PRESETS["demo"]).eval(), tokenizer)


def _load(path: Path) -> Engine:
    from chaku.checkpoint.formats import load_model
    from chaku.tokens.tokenizer import Tokenizer

    return Engine(load_model(path).eval(), Tokenizer.load(path))


def _cost(engine: Engine, constraint: Constraint, prompt: list[int], rows: int, repeats: int) -> dict[str, Any]:
    """Seconds a step, with the grammar and replaying the same tokens without it, in turns; medians over `repeats`."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for repeat in range(repeats + 1):
        params = SamplingParams(max_tokens=64, temperature=1.0, num_samples=rows, seed=repeat)
        recorded: list[list[int]] = []

        def record(*arguments: Any, recorded: list[list[int]] = recorded) -> list[int]:
            recorded.append(choose(*arguments))
            return recorded[-1]

        with patch.object(engine_module, "choose", record):
            constrained = _timed(engine, prompt, params, constraint)
        replay: Iterator[list[int]] = iter(recorded)

        def again(*arguments: Any, replay: Iterator[list[int]] = replay) -> list[int]:
            choose(*arguments)
            return next(replay)

        with patch.object(engine_module, "choose", again):
            free = _timed(engine, prompt, params, None)
        if repeat:  # the first warms up
            seconds[True].append(constrained / len(recorded))
            seconds[False].append(free / len(recorded))
    with_grammar, without = (1000 * statistics.median(seconds[each]) for each in (True, False))
    ratio = statistics.median(a / b for a, b in zip(seconds[True], seconds[False], strict=True))
    return {"samples": rows, "constrained_ms": with_grammar, "free_ms": without, "ratio": ratio}


def _timed(engine: Engine, prompt: list[int], params: SamplingParams, constraint: Constraint | None) -> float:
    started = time.perf_counter()
    engine.generate([prompt], params, constraint=constraint)
    return time.perf_counter() - started


def _share(engine: Engine, constraint: Constraint | None, prompt: list[int], database: Path, num_queries: int) -> float:
    """The share of samples that run. Under the grammar, one cut off by its length counts as one that does not."""
    params = SamplingParams(max_tokens=160, temperature=1.0, num_samples=num_queries, stop=(";",), seed=1)
    completions: list[Completion] = engine.generate([prompt], params, constraint=constraint)[0]
    with SQLiteRunner(2) as runner:
        results = runner.run_many([(database, each.text) for each in completions], timeout=2.0)
    return sum(result.ok for result in results) / num_queries


if __name__ == "__main__":
    main()
