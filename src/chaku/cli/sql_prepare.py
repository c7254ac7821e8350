"""`chaku sql`: make the shop, prepare training data, score predictions. Asking and `eval` have their own files."""

import argparse
import json
from pathlib import Path
from typing import Any

from chaku.cli import sql_ask, sql_eval
from chaku.tokens.load import load_tokenizer


def add_commands(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `sql` and its commands to the command line's verbs."""
    sql = verbs.add_parser("sql", help="questions to SQL").add_subparsers(required=True, metavar="COMMAND")

    preparing = sql.add_parser("prepare", parents=[common], help="questions with SQL to conversations to train on")
    preparing.add_argument("data", type=Path, nargs="+", help="Spider, BIRD, CSpider or WikiSQL files, or plain JSONL")
    preparing.add_argument("--databases", type=Path, required=True, help="a directory with NAME/NAME.sqlite")
    preparing.add_argument("--tables", type=Path, help="tables.json: keys and names that the databases lack")
    preparing.add_argument("--out", type=Path, required=True, help="a new .jsonl file")
    preparing.add_argument("--form", choices=["ddl", "compact", "db-gpt-hub"], default="ddl", help="of the prompt")
    preparing.add_argument(
        "--link", action="store_true", help="prompts as `chaku sql ask` writes them: values looked up, tables linked"
    )
    preparing.add_argument("--max-tokens", type=int, default=1536, help="of a prompt (default: 1536)")
    preparing.add_argument("--tokenizer", help="count tokens with this model's tokenizer (default: 3 bytes a token)")
    preparing.add_argument("--values", type=int, default=3, help="sampled values a column (default: 3)")
    preparing.add_argument(
        "--schema-noise", type=int, nargs="?", const=0, metavar="SEED",
        help="leave random columns and comments that a query does not use out of its prompt's schema",
    )  # fmt: skip
    preparing.add_argument("--timeout", type=float, default=10.0, help="seconds of one gold query (default: 10)")
    preparing.add_argument("--json", action="store_true", help="print the counts as JSON")
    preparing.set_defaults(command=_prepare)

    shop = sql.add_parser("shop", parents=[common], help="write a small online shop with questions about it")
    shop.add_argument("out", type=Path, help="a new directory: shop/shop.sqlite, train.jsonl, dev.jsonl")
    shop.add_argument("--seed", type=int, default=1)
    shop.add_argument("--train", type=int, default=4000, help="training questions at most (default: 4000)")
    shop.add_argument("--dev", type=int, default=300, help="dev questions at most (default: 300)")
    shop.set_defaults(command=_shop)

    scoring = sql.add_parser("score", parents=[common], help="score predicted SQL by the official rules")
    scoring.add_argument("--gold", type=Path, required=True, help="one `SQL<tab>database` a line")
    scoring.add_argument("--pred", type=Path, required=True, help="one SQL a line, or BIRD's JSON")
    scoring.add_argument("--databases", type=Path, required=True, help="a directory with NAME/NAME.sqlite")
    scoring.add_argument("--tables", type=Path, help="Spider's tables.json: the keys that exact set match merges")
    scoring.add_argument("--json", type=Path, metavar="OUT", help="write totals and one row a question here")
    scoring.add_argument("--timeout", type=float, default=10.0, help="seconds of one query (default: 10)")
    scoring.add_argument("--variants", type=int, default=20, help="of each database, for test-suite EX; 0: none")
    scoring.add_argument("--ves-runs", type=int, default=5, help="timed runs of a right query, for R-VES; 0: none")
    scoring.add_argument("--processes", type=int, default=2, help="queries that run at one time (default: 2)")
    scoring.add_argument("--seed", type=int, default=0, help="of the variants")
    scoring.set_defaults(command=_score)
    sql_eval.add_command(sql, common)
    sql_ask.add_commands(sql, common)


def _prepare(options: argparse.Namespace) -> None:
    from chaku.console import show_table
    from chaku.sql.scoring.datasets import read_examples, write_wikisql_databases
    from chaku.sql.training.example_prompts import PromptSettings
    from chaku.sql.training.prepare import PrepareSettings, prepare

    count_tokens = None
    if options.tokenizer:
        from chaku.checkpoint.find import find_checkpoint

        tokenizer = load_tokenizer(find_checkpoint(options.tokenizer))

        def count_tokens(text: str) -> int:
            return len(tokenizer.encode(text))

    examples = []
    for path in options.data:
        write_wikisql_databases(path, options.databases)
        examples += read_examples(path)
    prompt = PromptSettings(options.form, options.max_tokens, options.values, options.link)
    settings = PrepareSettings(prompt, options.timeout, options.schema_noise)
    counts = prepare(
        examples, options.databases, options.out, tables=options.tables, count_tokens=count_tokens, settings=settings
    )
    if options.json:
        print(json.dumps(counts, ensure_ascii=False))
        return
    flat = {name: number for name, number in counts.items() if isinstance(number, int)}
    flat |= {f"left out: {reason}": number for reason, number in counts["left_out"].items()}
    show_table("Prepared", ["", "examples"], [[name, number] for name, number in flat.items()])
    for reason, said in counts["first_left_out"].items():
        print(f"left out, {reason}, the first: {said}")
    print(options.out)


def _shop(options: argparse.Namespace) -> None:
    from chaku.ownership import make_ours
    from chaku.synthetic.shop import write_shop

    make_ours(options.out, "shop")
    counts = write_shop(options.out, seed=options.seed, num_train=options.train, num_dev=options.dev)
    print(json.dumps(counts))


def _score(options: argparse.Namespace) -> None:
    from chaku.console import say
    from chaku.files import write_json
    from chaku.sql.scoring.score import ScoreSettings, read_questions, score, show_scores

    questions = read_questions(options.gold, options.pred)
    settings = ScoreSettings(
        num_processes=options.processes,
        timeout=options.timeout,
        num_variants=options.variants,
        ves_runs=options.ves_runs,
        seed=options.seed,
    )
    scores = score(questions, options.databases, tables=options.tables, settings=settings)
    show_scores(scores)
    unscored = [row for row in scores["rows"] if row["ex"] is None]
    if unscored:
        say(f"{len(unscored)} questions are not scored, the first because {unscored[0]['reason']}")
    if options.json:
        write_json(options.json, scores)
    else:
        print(json.dumps({key: value for key, value in scores.items() if key != "rows"}))
