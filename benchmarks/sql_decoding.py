"""What decoding under a schema's grammar costs, and how many more queries run for it.

A model of the demo's size (2.4M parameters, vocabulary 2,048) is trained for a few minutes on questions about the
self-made shop. Cost: it writes k samples under the grammar; then the same tokens are replayed with no grammar, so both
sides run the same steps in the same batches. Share of executable queries: the answers to dev questions, greedy and
sampled, with and without the grammar, run on the database. `--model` measures a trained model instead.

    python benchmarks/sql_decoding.py --out sql_decoding.json [--steps 300] [--model DIR]
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F

from chaku.console import progress, say, show_table
from chaku.files import write_json
from chaku.inference import engine as engine_module
from chaku.inference.constraints import Constraint, Vocabulary
from chaku.inference.engine import Engine
from chaku.inference.prompts import complete
from chaku.inference.sampling import SamplingParams, choose
from chaku.model import PRESETS, Llama
from chaku.sql.execute import SQLiteRunner
from chaku.sql.grammar import sql_grammar
from chaku.sql.schema import read_sqlite
from chaku.sql.shop import write_shop
from chaku.sql.writers import extract_sql
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer

BATCH = 16
MAX_TOKENS = 96  # of a query


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a trained model directory, in place of one trained here")
    parser.add_argument("--steps", type=int, default=300, help="of training, at 16 questions each")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--questions", type=int, default=100, help="of dev")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        shop = Path(directory) / "shop"
        write_shop(shop)
        schema = read_sqlite(shop / "shop" / "shop.sqlite", num_values=0)
        examples = {part: _read(shop / f"{part}.jsonl") for part in ("train", "dev")}
        engine = _load(options.model) if options.model else _train(examples["train"], options.steps)
        constraint = Constraint(Vocabulary(engine.tokenizer), sql_grammar(schema))
        prompts = [complete(engine.tokenizer, _text(each["question"])) for each in examples["dev"][: options.questions]]
        torch.set_num_threads(1)  # the masks are made on another core meanwhile
        costs = [_cost(engine, constraint, prompts[0], rows, options.repeats) for rows in (1, 4, 8, 16)]
        database = shop / "shop" / "shop.sqlite"
        shares = [
            {"temperature": temperature, "free": free, "grammar": grammar}
            for temperature in (0.0, 0.8)
            for free, grammar in [[_share(engine, each, prompts, database, temperature) for each in (None, constraint)]]
        ]
    show_table(
        "decoding under the grammar",
        ["samples at once", "ms a step", "free, ms a step", "times"],
        [[str(cost["samples"]), cost["constrained_ms"], cost["free_ms"], cost["ratio"]] for cost in costs],
    )
    show_table(
        "executable queries",
        ["temperature", "free", "under the grammar"],
        [[str(each["temperature"]), each["free"], each["grammar"]] for each in shares],
    )
    about = {"machine": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    model = str(options.model or f"demo's shape, {options.steps} steps on the shop")
    write_json(options.out, {"costs": costs, "executable": shares, "questions": len(prompts), "model": model, **about})


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _text(question: str) -> str:
    """The question alone: the model knows one database, by heart."""
    return f"-- {question}\n"


def _train(examples: list[dict[str, str]], steps: int) -> Engine:
    """The loss is on the query alone, whose end is EOS."""
    texts = [_text(each["question"]) for each in examples]
    source = [path.read_text() for path in Path(engine_module.__file__).parents[1].rglob("*.py")]  # to fill it
    written = [text + each["query"] for text, each in zip(texts, examples, strict=True)]
    tokenizer = train_tokenizer([*written, *source], 2048)
    rows = []
    for text, each in zip(texts, examples, strict=True):
        prompt, reply = complete(tokenizer, text), [*tokenizer.encode_infilling(each["query"]), tokenizer.eos_id]
        rows.append((prompt + reply, len(prompt)))
    torch.manual_seed(1)
    model = Llama(PRESETS["demo"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1, betas=(0.9, 0.95))
    draw, loss = Random(1), torch.zeros(())
    with progress("train", steps, "steps") as bar:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1.0, (step + 1) / 30) * max(0.05, 1 - step / steps)
            taken = draw.sample(rows, BATCH)
            longest = max(len(ids) for ids, _ in taken)
            ids = torch.zeros((BATCH, longest), dtype=torch.int64)
            labels = torch.full((BATCH, longest), -100)
            for number, (row, start) in enumerate(taken):
                ids[number, : len(row)] = torch.tensor(row)
                labels[number, start : len(row)] = torch.tensor(row[start:])
            loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), labels[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            bar.advance(1, f"loss {float(loss.detach()):.3f}")
    say(f"loss {float(loss.detach()):.3f}")
    return Engine(model.eval(), tokenizer)


def _load(path: Path) -> Engine:
    from chaku.checkpoint.formats import load_model

    return Engine(load_model(path).eval(), Tokenizer.load(path))


def _cost(engine: Engine, constraint: Constraint, prompt: list[int], rows: int, repeats: int) -> dict[str, Any]:
    """Milliseconds a step with the grammar, and replaying the same tokens without it; medians over `repeats` texts.

    Of each text the fastest of three runs a side, in turns: other work on the machine only ever adds time.
    """
    times: list[tuple[float, float]] = []
    for repeat in range(repeats):
        params = SamplingParams(max_tokens=MAX_TOKENS, temperature=1.0, num_samples=rows, seed=repeat)
        recorded: list[list[int]] = []

        def record(*arguments: Any, recorded: list[list[int]] = recorded) -> list[int]:
            recorded.append(choose(*arguments))
            return recorded[-1]

        with patch.object(engine_module, "choose", record):
            engine.generate([prompt], params, constraint=constraint)
        runs = [[_replay(engine, prompt, params, each, recorded) for each in (constraint, None)] for _ in range(3)]
        times.append((min(each[0] for each in runs), min(each[1] for each in runs)))
    with_grammar, without = (statistics.median(each[side] for each in times) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in times)
    return {"samples": rows, "constrained_ms": with_grammar, "free_ms": without, "ratio": ratio}


def _replay(
    engine: Engine, prompt: list[int], params: SamplingParams, constraint: Constraint | None, recorded: list[list[int]]
) -> float:
    """Milliseconds a step when the tokens are chosen as ever, and then those of an earlier run are taken."""
    again: Iterator[list[int]] = iter(recorded)

    def replay(*arguments: Any) -> list[int]:
        choose(*arguments)
        return next(again)

    with patch.object(engine_module, "choose", replay):
        started = time.perf_counter()
        engine.generate([prompt], params, constraint=constraint)
        return 1000 * (time.perf_counter() - started) / len(recorded)


def _share(
    engine: Engine, constraint: Constraint | None, prompts: list[list[int]], database: Path, temperature: float
) -> float:
    """The share of answers that run. One that is cut off by its length counts as one that does not."""
    params = SamplingParams(max_tokens=MAX_TOKENS, temperature=temperature, seed=1)
    answers = [row[0] for row in engine.generate(prompts, params, constraint=constraint)]
    with SQLiteRunner(2) as runner:
        results = runner.run_many([(database, extract_sql(each.text)) for each in answers], timeout=2.0)
    ran = [result.ok and each.finish_reason == "stop" for result, each in zip(results, answers, strict=True)]
    return sum(ran) / len(prompts)


if __name__ == "__main__":
    main()
