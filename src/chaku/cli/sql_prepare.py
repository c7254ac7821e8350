"""`chaku sql prepare`: questions with SQL become conversations to train on."""

import json
from pathlib import Path
from typing import Literal

import click

from chaku.cli.shared.loading import MODEL
from chaku.cli.shared.names import MODEL_NAME
from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.several_values import OptionalInteger
from chaku.cli.shared.verb import verb


@verb("chaku sql prepare spider/train_spider.json --databases spider/database --out train.jsonl")
@click.argument(
    "data", type=PATH, nargs=-1, required=True, help="Spider, BIRD, CSpider or WikiSQL files, or plain JSONL."
)
@click.option("--databases", type=PATH, required=True, help="A directory with NAME/NAME.sqlite.")
@click.option("--tables", type=PATH, help="A tables.json: keys and names that the databases lack.")
@click.option("--out", type=PATH, required=True, help="A new .jsonl file.")
@click.option(
    "--form",
    type=click.Choice(["ddl", "compact", "db-gpt-hub"]),
    default="ddl",
    help="Write the schema in this form.",
)
@click.option(
    "--link",
    is_flag=True,
    help="Write prompts as `chaku sql ask` does: values looked up, tables chosen.",
)
@click.option("--max-tokens", type=int, default=1536, help="Write a prompt of at most so many tokens.")
@click.option(
    "--tokenizer",
    type=MODEL_NAME,
    help=f"Count tokens with the tokenizer of this model ({MODEL[2:]}); without it, 3 bytes are a token.",
)
@click.option("--values", type=int, default=3, help="Show so many sampled values a column.")
@click.option(
    "--schema-noise",
    cls=OptionalInteger,
    bare=0,
    metavar="[SEED]",
    help="Leave random columns and comments that a query does not use out of its prompt's schema.",
)
@click.option("--timeout", type=float, default=10.0, metavar="SECONDS", help="Let one gold query run so long.")
@json_option("Print the counts as JSON.")
def sql_prepare(
    data: tuple[Path, ...],
    databases: Path,
    tables: Path | None,
    out: Path,
    form: Literal["ddl", "compact", "db-gpt-hub"],
    link: bool,
    max_tokens: int,
    tokenizer: str | None,
    values: int,
    schema_noise: int | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Turn questions with SQL into conversations to train on."""
    from chaku.console import show_table
    from chaku.sql.scoring.datasets import read_examples, write_wikisql_databases
    from chaku.sql.training.example_prompts import PromptSettings
    from chaku.sql.training.prepare import PrepareSettings, prepare

    count_tokens = None
    if tokenizer:
        from chaku.checkpoint.find import find_checkpoint
        from chaku.tokens.load import load_tokenizer

        loaded = load_tokenizer(find_checkpoint(tokenizer))

        def count_tokens(text: str) -> int:
            return len(loaded.encode(text))

    examples = []
    for path in data:
        write_wikisql_databases(path, databases)
        examples += read_examples(path)
    prompt = PromptSettings(form, max_tokens, values, link)
    settings = PrepareSettings(prompt, timeout, schema_noise)
    counts = prepare(examples, databases, out, tables=tables, count_tokens=count_tokens, settings=settings)
    if as_json:
        print(json.dumps(counts, ensure_ascii=False))
        return
    flat = {name: number for name, number in counts.items() if isinstance(number, int)}
    flat |= {f"left out: {reason}": number for reason, number in counts["left_out"].items()}
    show_table("Prepared", ["", "examples"], [[name, number] for name, number in flat.items()])
    for reason, said in counts["first_left_out"].items():
        print(f"left out, {reason}, the first: {said}")
    print(out)
