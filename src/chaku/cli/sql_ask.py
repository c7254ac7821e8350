"""`chaku sql ask`: one question to a database of one's own."""

import json
import sys

import click

from chaku.cli.shared.loading import Loading
from chaku.cli.shared.options import json_option
from chaku.cli.shared.sql_answers import show, show_explanation
from chaku.cli.shared.sql_asking import Asking, asking_options
from chaku.cli.shared.sql_files import Files, file_options
from chaku.cli.shared.verb import verb
from chaku.console import say
from chaku.errors import ChakuError


@verb('chaku sql ask --db shop.sqlite --model runs/demo/stages/sql "How many orders are there?"')
@click.argument("question", help="The question, in English or another language that the model knows.")
@asking_options()
@json_option("Print the answer, all candidates included, as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@file_options()
@click.option("--explain", is_flag=True, help="Say the query in plain words, and how it was found.")
def sql_ask(
    question: str, asking: Asking, loading: Loading, as_json: bool, as_csv: bool, files: Files, explain: bool
) -> None:
    """Ask a database a question: the SQL, its rows, and how sure the answer is."""
    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    files.check()
    from chaku.sql.ask.answers import one_question

    question = one_question(question)  # before a model is loaded
    with asking.asker(loading) as asker:
        answer = asker.ask(question)
        if as_json:
            print(json.dumps(answer.as_json(), ensure_ascii=False))
        elif as_csv:
            from chaku.sql.answer.row_files import write_csv

            if answer.refusal:
                raise ChakuError(f"no answer: {answer.refusal}")
            write_csv(answer.result, sys.stdout)
            if answer.result.truncated:
                say(f"the result is cut off after {len(answer.result.rows)} rows; --max-rows may allow more")
        else:
            show(answer)
        if explain:
            show_explanation(answer, asker, sys.stderr if as_json or as_csv else sys.stdout)
        if files:
            if answer.refusal:
                raise ChakuError(f"no answer, so no file was written: {answer.refusal}")
            files.write(answer.result)
