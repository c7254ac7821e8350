"""`chaku sql eval`: a model on published questions."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.cli.loading import SERVED, add_loading, load, refuse_loading
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.sql.ask.writer import ModelWriter
    from chaku.sql.training.example_prompts import PromptSettings


def add_command(sql: Any, common: argparse.ArgumentParser) -> None:
    """Add `eval` to `chaku sql`."""
    parser = sql.add_parser("eval", parents=[common], help="a model on published questions, by execution accuracy")
    parser.add_argument("model", help=SERVED)
    parser.add_argument(
        "--questions", type=Path, required=True,
        help="Spider's dev.json, Spider-Syn's, BIRD's, plain JSONL; or a folder of $CHAKU_BENCHMARKS: spider",
    )  # fmt: skip
    parser.add_argument("--databases", type=Path, help="a folder with NAME/NAME.sqlite (default: beside the questions)")
    parser.add_argument("--tables", type=Path, help="tables.json: keys that the databases lack (default: beside them)")
    parser.add_argument("--endpoint", metavar="URL", help="ask a server with OpenAI's API; its key is $OPENAI_API_KEY")
    add_loading(parser)
    parser.add_argument(
        "--form", choices=["ddl", "compact", "db-gpt-hub"], help="of the prompt (default: as the model learnt, or ddl)"
    )
    parser.add_argument(
        "--max-prompt-tokens", type=int, metavar="N",
        help="of a prompt at most (default: as the model learnt, or what its context leaves; 6,000 to an endpoint)",
    )  # fmt: skip
    parser.add_argument(
        "--no-instructions", action="store_true", help="a chat model that did not learn these prompts gets them alone"
    )
    parser.add_argument("--no-grammar", action="store_true", help="decode freely")
    parser.add_argument("--samples", type=int, default=1, help="queries that are written and vote (default: 1, greedy)")
    parser.add_argument(
        "--repair", action="store_true",
        help="put misspelt names right, and ask once more, with the error, where no query ran",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="a plain random sample of N questions, by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", type=int, default=0, help="of each database, for test-suite EX (default: none)")
    parser.add_argument("--batch-size", type=int, default=16, help="questions at one time (default: 16)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds of one query (default: 10)")
    parser.add_argument("--out", type=Path, help="keep predictions and results here; a killed command goes on")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(command=_eval)


def _eval(options: argparse.Namespace) -> None:
    from chaku.ownership import EVALUATION, make_ours
    from chaku.sql.scoring.benchmark import results_in_lines, run_benchmark
    from chaku.sql.scoring.predict import Asking
    from chaku.sql.scoring.question_files import find_questions

    if options.max_prompt_tokens is not None and options.max_prompt_tokens < 1:
        raise ChakuError(f"--max-prompt-tokens is {options.max_prompt_tokens}; it must be at least 1")
    if options.out:
        make_ours(options.out, EVALUATION)
    questions = find_questions(options.questions, options.databases, options.tables)
    asking = Asking(options.samples, options.repair, options.batch_size, options.timeout)
    writer, prompt = _writer(options)
    results = run_benchmark(
        questions,
        writer,
        prompt=prompt,
        asking=asking,
        limit=options.limit,
        seed=options.seed,
        num_variants=options.variants,
        out=options.out,
    )
    print(json.dumps(results, ensure_ascii=False) if options.json else "\n".join(results_in_lines(results)))


def _writer(options: argparse.Namespace) -> "tuple[ModelWriter, PromptSettings]":
    """What writes, and the prompts that it is asked with: as it learnt, unless the options say otherwise."""
    from chaku import api
    from chaku.sql.ask.writer import writer_as_learnt
    from chaku.sql.training.example_prompts import PromptSettings, trained_prompt

    if options.endpoint:
        refuse_loading(options)
    model = api.connect(options.endpoint, options.model, chat=True) if options.endpoint else load(options)
    trained = trained_prompt(model.path) if model.path else None
    writer = writer_as_learnt(
        model.generator,
        trained,
        form=options.form,
        max_prompt_tokens=options.max_prompt_tokens,
        constrained=not options.no_grammar,
        instructions=not options.no_instructions,
        seed=options.seed,
    )
    prompt = trained or PromptSettings(link=options.form != "db-gpt-hub")
    if options.form and options.form != prompt.form:
        prompt = replace(prompt, form=options.form, link=options.form != "db-gpt-hub")
    return writer, replace(prompt, max_tokens=writer.max_prompt_tokens)
