"""What writes queries, by the options of `sql ask` and `sql eval`: a model that is loaded here, or a server."""

import argparse
from typing import TYPE_CHECKING

from chaku.commands.loading import load, refuse_loading

if TYPE_CHECKING:
    from chaku.sql.ask.writer import ModelWriter
    from chaku.sql.training.example_prompts import PromptSettings


def find_writer(
    options: argparse.Namespace, served: str, *, instructions: bool = True, endpoint_timeout: float | None = None
) -> "tuple[ModelWriter, PromptSettings | None]":
    """The writer, and how its model learnt to be asked, where it did.

    `served`: the name that the server of --endpoint knows. `instructions`: a chat model that did not learn is told what
    to do. `endpoint_timeout`: seconds of one of its answers, all attempts included.
    """
    from chaku.sql.ask.writer import ModelWriter, writer_as_learnt

    if options.endpoint:
        from chaku.inference.endpoint import Endpoint

        refuse_loading(options)
        endpoint = Endpoint(options.endpoint, served, chat=True, patience=endpoint_timeout)
        return ModelWriter(endpoint, max_prompt_tokens=options.max_prompt_tokens, seed=options.seed), None
    from chaku.checkpoint.find import find_checkpoint
    from chaku.sql.training.example_prompts import trained_prompt

    learnt = trained_prompt(find_checkpoint(options.model))
    writer = writer_as_learnt(
        load(options),
        learnt,
        form=options.form,
        max_prompt_tokens=options.max_prompt_tokens,
        constrained=not options.no_grammar,
        instructions=instructions,
        seed=options.seed,
    )
    return writer, learnt
