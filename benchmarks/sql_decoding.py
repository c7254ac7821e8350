"""What decoding under a schema's grammar costs, and how many more queries run for it; part of `benchmarks/sql.py`.

Cost: a model writes k samples under the grammar; then the same tokens are replayed with no grammar, so both sides run
the same steps in the same batches. Share of executable queries: the answers to the shop's dev questions, greedy and
sampled, with and without the grammar, run on the database.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chaku.console import show_table
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.load import load_engine
from chaku.inference.prompts import Prompt, answer
from chaku.inference.sampling import choose
from chaku.sql.ask.grammar import sql_grammar
from chaku.sql.ask.replies import extract_sql
from chaku.sql.execute.runner import SQLiteRunner
from chaku.sql.schema.definition import database_file, read_sqlite
from chaku.sql.scoring.datasets import read_examples
from chaku.sql.scoring.evaluate import MAX_TOKENS
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings, trained_prompt
from chaku.tokens.chat import Message


def measure_decoding(model: Path, shop: Path, repeats: int = 5, max_questions: int = 100) -> dict[str, Any]:
    """A model that learnt about the shop. One thread, as the masks are made on another core meanwhile."""
    torch.set_num_threads(1)
    engine = load_engine(str(model))
    examples = read_examples(shop / "dev.jsonl")[:max_questions]
    database = database_file(shop, examples[0].database)
    texts = ExamplePrompts(
        shop, trained_prompt(model) or PromptSettings("compact"), lambda text: len(engine.tokenizer.encode(text))
    )
    prompts = [answer(engine.chat, [Message("user", texts.prompt(example).text)]) for example in examples]
    grammar = sql_grammar(read_sqlite(database, num_values=0))
    costs = [_cost(engine, grammar, prompts[0], rows, repeats) for rows in (1, 4, 8, 16)]
    shares = [
        {
            "temperature": temperature,
            "free": _share(engine, None, prompts, database, temperature),
            "grammar": _share(engine, grammar, prompts, database, temperature),
        }
        for temperature in (0.0, 0.8)
    ]
    show_table(
        "decoding under the grammar",
        ["samples at once", "ms a step", "free, ms a step", "times"],
        [[str(cost["samples"]), cost["constrained_ms"], cost["free_ms"], cost["ratio"]] for cost in costs],
    )
    show_table(
        "executable queries",
        ["temperature", "free", "under the grammar"],
        [[str(share["temperature"]), share["free"], share["grammar"]] for share in shares],
    )
    return {"costs": costs, "executable": shares, "questions": len(prompts), "model": str(model)}


def _cost(engine: Engine, grammar: str, prompt: Prompt, rows: int, repeats: int) -> dict[str, Any]:
    """Milliseconds a step with the grammar, and replaying the same tokens without it; medians over `repeats` texts.

    Of each text the fastest of three runs a side, in turns: other work on the machine only ever adds time.
    """
    times: list[tuple[float, float]] = []
    for repeat in range(repeats):
        params = SamplingParams(max_tokens=MAX_TOKENS, temperature=1.0, num_samples=rows, seed=repeat)
        recorded: list[list[int]] = []

        def record(
            scores: Tensor,
            params: Sequence[SamplingParams],
            uniforms: Sequence[float | None],
            recorded: list[list[int]] = recorded,
        ) -> list[int]:
            recorded.append(choose(scores, params, uniforms))
            return recorded[-1]

        engine.sampler = record
        engine.generate([prompt], params, grammar=grammar)
        runs = [[_replay(engine, prompt, params, held, recorded) for held in (grammar, None)] for _ in range(3)]
        engine.sampler = choose
        times.append((min(run[0] for run in runs), min(run[1] for run in runs)))
    with_grammar, without = (statistics.median(seconds[side] for seconds in times) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in times)
    return {"samples": rows, "constrained_ms": with_grammar, "free_ms": without, "ratio": ratio}


def _replay(
    engine: Engine, prompt: Prompt, params: SamplingParams, grammar: str | None, recorded: list[list[int]]
) -> float:
    """Milliseconds a step when the tokens are chosen as ever, and then those of an earlier run are taken."""
    again: Iterator[list[int]] = iter(recorded)

    def replay(scores: Tensor, params: Sequence[SamplingParams], uniforms: Sequence[float | None]) -> list[int]:
        choose(scores, params, uniforms)
        return next(again)

    engine.sampler = replay
    started = time.perf_counter()
    engine.generate([prompt], params, grammar=grammar)
    return 1000 * (time.perf_counter() - started) / len(recorded)


def _share(engine: Engine, grammar: str | None, prompts: list[Prompt], database: Path, temperature: float) -> float:
    """The share of answers that run. One that is cut off by its length counts as one that does not."""
    params = SamplingParams(max_tokens=MAX_TOKENS, temperature=temperature, seed=1)
    answers = [row[0] for row in engine.generate(prompts, params, grammar=grammar)]
    with SQLiteRunner(2) as runner:
        results = runner.run_many([(database, extract_sql(answer.text)) for answer in answers], timeout=2.0)
    ran = [result.ok and answer.finish_reason == "stop" for result, answer in zip(results, answers, strict=True)]
    return sum(ran) / len(prompts)
