"""The options of the commands that ask a model published questions, and the writer that they make."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import click

from chaku.cli.shared.loading import KEY, Loading, served_argument
from chaku.cli.shared.options import Decorator, gathered, seed_option
from chaku.cli.shared.sql_asking import max_prompt_tokens_option
from chaku.cli.shared.sql_settings import select_option

if TYPE_CHECKING:
    from chaku.sql.ask.writer import ModelWriter
    from chaku.sql.scoring.predict import Asking
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
    samples: int
    select: Literal["vote", "csc", "tests"]
    repair: bool
    batch_size: int
    timeout: float

    @property
    def asking(self) -> "Asking":
        """How the questions are asked. Raises ChakuError for options that do not fit together."""
        from chaku.sql.scoring.predict import Asking

        return Asking(self.samples, self.repair, self.batch_size, self.timeout, self.select)

    def writer(self, loading: Loading) -> "tuple[ModelWriter, PromptSettings]":
        """The model, and the prompts that it is asked with: as it learnt, unless the options say otherwise."""
        from chaku.sql.ask.writer import writer_as_learnt
        from chaku.sql.training.example_prompts import PromptSettings, trained_prompt

        model = loading.load_or_connect(self.model, self.endpoint, chat=True)
        trained = trained_prompt(model.path) if model.path else None
        writer = writer_as_learnt(
            model.generator,
            trained,
            form=self.form,
            max_prompt_tokens=self.max_prompt_tokens,
            constrained=not self.no_grammar,
            instructions=not self.no_instructions,
            seed=self.seed,
        )
        prompt = trained or PromptSettings(link=self.form != "db-gpt-hub")
        if self.form and self.form != prompt.form:
            prompt = replace(prompt, form=self.form, link=self.form != "db-gpt-hub")
        return writer, replace(prompt, max_tokens=writer.max_prompt_tokens)


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
        click.option("--samples", type=int, default=1, help="Write so many queries, which vote; 1 is greedy."),
        select_option(),
        click.option(
            "--repair",
            is_flag=True,
            help="Put misspelt names right, and ask once more, with the error, where no query ran.",
        ),
        click.option("--batch-size", type=int, default=16, help="Ask so many questions at one time."),
        click.option("--timeout", type=float, default=10.0, metavar="SECONDS", help="Let one query run so long."),
    )
