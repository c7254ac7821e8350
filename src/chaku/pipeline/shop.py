"""Text-to-SQL in a recipe: makes a shop's database with training questions, and measures stages on other questions."""

from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.inference.engine import Engine
from chaku.pipeline.run_directory import Work
from chaku.results import EvalResult, MeasureResult
from chaku.sql.ask.writer import TEMPLATE_TOKENS
from chaku.sql.scoring.datasets import read_examples
from chaku.sql.scoring.evaluate import MAX_TOKENS, evaluate
from chaku.sql.training.config import ShopConfig
from chaku.sql.training.example_prompts import PromptSettings
from chaku.sql.training.prepare import PrepareSettings, prepare
from chaku.synthetic.shop import write_shop
from chaku.tokens.tokenizer import Tokenizer

CONVERSATIONS = "conversations.jsonl"  # in the shop's folder: its training questions and their queries


def shop_prompt(config: ShopConfig) -> PromptSettings:
    """The prompt settings for questions about the shop: the form that `chaku sql ask` uses for a small model."""
    return PromptSettings("compact", config.max_tokens - MAX_TOKENS - TEMPLATE_TOKENS, link=True)


def make_shop(config: ShopConfig, tokenizer: Tokenizer, out: Path, seed: int) -> Work:
    """Write the shop's database, its questions, and conversations of at most `config.max_tokens` to train on."""
    write_shop(out, seed=seed, num_train=config.num_train, num_dev=config.num_dev, chinese=config.chinese)
    counts = prepare(
        read_examples(out / "train.jsonl"),
        out,
        out / CONVERSATIONS,
        count_tokens=lambda text: len(tokenizer.encode(text)),
        settings=PrepareSettings(shop_prompt(config)),
    )
    return Work(counts["written"], "questions")


def ask_shop(
    config: ShopConfig, engine: Engine, stage: str, shop: Path, path: Path, inputs: str, *, instructed: bool
) -> bool:
    """Measure the stage's execution accuracy on the shop's dev questions, and write it to `path`.

    Returns False, without measuring, when `path` has results from the same `inputs`. `instructed`: the prompt explains
    the task, for a chat model that was not trained on these prompts.
    """
    if path.exists() and EvalResult.read(path).inputs == inputs:
        return False
    results: dict[str, Any] = evaluate(
        engine, shop / "dev.jsonl", shop, settings=shop_prompt(config), instructed=instructed
    )
    record = {**results.pop("manifest"), "prompt": results.pop("prompt"), **engine.record}
    MeasureResult("shop", record, results, stage=stage, inputs=inputs).write(path)
    say(f"{stage}: execution accuracy on the shop {results['ex']:.1%} of {results['counts']['scored']} questions")
    return True
