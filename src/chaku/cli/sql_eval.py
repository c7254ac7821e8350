"""`chaku sql eval`: a model on published questions."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from chaku.cli.shared.loading import KEY, Loading, loading_options, served_argument
from chaku.cli.shared.options import PATH, Decorator, gathered, json_option, seed_option
from chaku.cli.shared.sql_asking import max_prompt_tokens_option
from chaku.cli.shared.sql_choosing import select_option
from chaku.cli.shared.verb import verb

if TYPE_CHECKING:
    from chaku.sql.ask.writer import ModelWriter
    from chaku.sql.training.example_prompts import PromptSettings


@dataclass(frozen=True)
class Prompting:
    """What is asked, and how; None: as the model learnt."""

    model: str
    endpoint: str | None
    form: Literal["ddl", "compact", "db-gpt-hub"] | None
    max_prompt_tokens: int | None
    no_instructions: bool
    no_grammar: bool
    seed: int


def prompting_options() -> Decorator:
    """The options, in the parameter `prompting`."""
    return gathered(
        "prompting",
        Prompting,
        served_argument(),
        click.option("--endpoint", metavar="URL", help=f"Ask a server with OpenAI's API; {KEY}."),
        click.option(
            "--form",
            type=click.Choice(["ddl", "compact", "db-gpt-hub"]),
            help="Write the schema in this form; without it, as the model learnt, or ddl.",
        ),
        max_prompt_tokens_option(),
        click.option(
            "--no-instructions",
            is_flag=True,
            help="Ask a chat model that did not learn these prompts without the sentence that explains them.",
        ),
        click.option("--no-grammar", is_flag=True, help="Decode freely."),
        seed_option("The number that random draws, and the sample of --limit, follow from."),
    )


@verb(
    "chaku sql eval smollm2-135m-instruct --questions spider/dev.json --limit 100 --out evals/smollm2",
    keeps="with --out",
)
@prompting_options()
@click.option(
    "--questions",
    type=PATH,
    required=True,
    help="Spider's dev.json, Spider-Syn's, BIRD's, plain JSONL; or a folder of $CHAKU_BENCHMARKS: spider.",
)
@click.option(
    "--databases", type=PATH, help="A folder with NAME/NAME.sqlite; without it, the folder beside the questions."
)
@click.option(
    "--tables",
    type=PATH,
    help="A tables.json: keys that the databases lack; without it, the file beside the questions.",
)
@loading_options()
@click.option("--samples", type=int, default=1, help="Write so many queries, which vote; 1 is greedy.")
@select_option()
@click.option(
    "--repair",
    is_flag=True,
    help="Put misspelt names right, and ask once more, with the error, where no query ran.",
)
@click.option("--limit", type=int, metavar="N", help="Ask a plain random sample of N questions.")
@click.option(
    "--variants", type=int, default=0, help="Make so many variants of each database, for test-suite EX; 0: none."
)
@click.option("--batch-size", type=int, default=16, help="Ask so many questions at one time.")
@click.option("--timeout", type=float, default=10.0, metavar="SECONDS", help="Let one query run so long.")
@click.option("--out", type=PATH, help="Keep predictions and results in this directory; a killed command goes on.")
@json_option("Print the results as JSON.")
def sql_eval(
    prompting: Prompting,
    questions: Path,
    databases: Path | None,
    tables: Path | None,
    loading: Loading,
    samples: int,
    select: Literal["vote", "csc", "tests"],
    repair: bool,
    limit: int | None,
    variants: int,
    batch_size: int,
    timeout: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Ask a model published questions, and score its queries by execution accuracy."""
    from chaku.ownership import EVALUATION, make_ours
    from chaku.sql.scoring.benchmark import result_in_lines, run_benchmark
    from chaku.sql.scoring.predict import Asking
    from chaku.sql.scoring.question_files import find_questions

    if out:
        make_ours(out, EVALUATION)
    found = find_questions(questions, databases, tables)
    writer, prompt = _writer(prompting, loading)
    result = run_benchmark(
        found,
        writer,
        prompt=prompt,
        asking=Asking(samples, repair, batch_size, timeout, select),
        limit=limit,
        seed=prompting.seed,
        num_variants=variants,
        out=out,
    )
    print(json.dumps(result.plain(), ensure_ascii=False) if as_json else "\n".join(result_in_lines(result)))


def _writer(asked: Prompting, loading: Loading) -> "tuple[ModelWriter, PromptSettings]":
    """What writes, and the prompts that it is asked with: as it learnt, unless the options say otherwise."""
    from chaku.sql.ask.writer import writer_as_learnt
    from chaku.sql.training.example_prompts import PromptSettings, trained_prompt

    model = loading.load_or_connect(asked.model, asked.endpoint, chat=True)
    trained = trained_prompt(model.path) if model.path else None
    writer = writer_as_learnt(
        model.generator,
        trained,
        form=asked.form,
        max_prompt_tokens=asked.max_prompt_tokens,
        constrained=not asked.no_grammar,
        instructions=not asked.no_instructions,
        seed=asked.seed,
    )
    prompt = trained or PromptSettings(link=asked.form != "db-gpt-hub")
    if asked.form and asked.form != prompt.form:
        prompt = replace(prompt, form=asked.form, link=asked.form != "db-gpt-hub")
    return writer, replace(prompt, max_tokens=writer.max_prompt_tokens)
