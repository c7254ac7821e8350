"""Training speed: chaku's step beside the same step around transformers' LlamaForCausalLM, on one machine in one run.

Both have the same shape, weights, tokens, precision, optimizer and gradient clipping; only the model and its loss
differ. Steps alternate, so that a machine that slows down slows both; the figures are medians.

    python benchmarks/train_cpu.py --out train_cpu.json
    python benchmarks/train_cpu.py --lora --model CHECKPOINT --out train_lora.json

With --lora both sides train LoRA, and the other side is peft with transformers: `train_lora.py` says on what.
"""

import argparse
import copy
import functools
import gc
import math
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chaku.checkpoint.config_json import config_to_json
from chaku.checkpoint.formats import open_checkpoint
from chaku.console import say, short, show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.machine import processor_name
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.speed import choose_precision
from chaku.training.step import autocast, optimizer_step, training_step_loss
from train_lora import LORA, SETTINGS, SMOLLM2, both, chaku_step, peft_step, questions, uniform

LOSS_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}  # relative, on the first loss, from equal weights


def main() -> None:
    """Parse, measure each precision, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo", choices=sorted(PRESETS), help="the model's shape (default: demo)")
    parser.add_argument("--vocab-size", type=int, help="in place of the preset's, as 32016 for Code Llama's")
    parser.add_argument("--compile", action="store_true", help="chaku's side through torch.compile")
    parser.add_argument("--lora", action="store_true", help="LoRA of a model of SmolLM2-135M's shape, beside peft")
    parser.add_argument("--model", type=Path, help="with --lora: a checkpoint, in place of random weights")
    parser.add_argument("--conversations", type=Path, help="with --lora: JSONL in place of questions about the shop")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), help="with --lora (default: both)")
    parser.add_argument("--examples", type=int, default=32, help="with --lora: conversations a step (default: 32)")
    parser.add_argument("--batch", type=int, help="sequences a step (default: 16, with --lora 4)")
    parser.add_argument("--sequence-length", type=int, default=512, help="tokens a sequence (default: 512)")
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each side (default: 12)")
    parser.add_argument(
        "--precision", nargs="+", choices=list(LOSS_TOLERANCE), help="(default: both, with --lora auto)"
    )
    parser.add_argument("--threads", type=int, help="processor threads (default: torch's choice)")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.batch = options.batch or (4 if options.lora else 16)
    results = lora_results(options) if options.lora else model_results(options)
    rows: list[list[object]] = [
        [
            result["setting"],
            result["precision"],
            short(result["chaku_tokens_per_second"]),
            short(result["transformers_tokens_per_second"]),
            f"{result['ratio']:.2f}",
            f"{result['ratio_quartiles'][0]:.2f} to {result['ratio_quartiles'][1]:.2f}",
            f"{result['processor_time_ratio']:.2f}",
        ]
        for result in results
    ]
    other = "peft" if options.lora else "transformers"
    heads = ["setting", "precision", "chaku", other, "ratio", "middle half", "of processor time"]
    show_table("Training step, tokens/s without padding", heads, rows)
    if options.out:
        write_json(options.out, record(options, results))


def model_results(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Training of all weights, in each precision."""
    shape = PRESETS[options.preset]
    shape = replace(shape, vocab_size=options.vocab_size or shape.vocab_size)
    say(
        f"{options.preset}: {short(shape.num_parameters)} parameters, {options.batch} sequences of "
        f"{options.sequence_length} tokens a step, {options.steps} steps a side, {torch.get_num_threads()} threads"
    )
    results = []
    for precision in options.precision or LOSS_TOLERANCE:
        torch.manual_seed(0)
        ours = Llama(shape)
        theirs = transformers_model(ours)
        tokens = torch.randint(shape.vocab_size, (options.batch, options.sequence_length + 1))  # (batch, seq + 1)
        forward = torch.compile(training_step_loss) if options.compile else training_step_loss
        sides = (
            stepper(ours, functools.partial(forward, ours, tokens), precision),
            stepper(theirs, functools.partial(transformers_loss, theirs, tokens), precision),
        )
        num_tokens = options.batch * options.sequence_length
        results.append(compare("all weights", precision, sides, [num_tokens] * (options.steps + 2)))
        results[-1]["shape"] = asdict(shape)
    return results


def lora_results(options: argparse.Namespace) -> list[dict[str, Any]]:
    """LoRA, in each precision and setting; without a model there is no tokenizer, so no questions."""
    shape = open_checkpoint(options.model).config if options.model else SMOLLM2
    say(
        f"LoRA of rank {LORA.rank}, {short(shape.num_parameters)} parameters, {options.steps} steps a side, "
        f"{torch.get_num_threads()} threads"
    )
    torch.manual_seed(0)
    num = options.steps + 2
    settings = {}
    for setting in options.settings or SETTINGS:
        if setting == "uniform":
            settings[setting] = uniform(shape.vocab_size, options.batch, options.sequence_length, num)
        elif options.model:
            settings[setting] = questions(
                options.model, options.conversations, options.examples, options.sequence_length, num
            )
        else:
            say("the setting `questions` is left out: it needs a tokenizer; give --model")
    results = []
    for precision in options.precision or [choose_precision("auto", torch.device("cpu"))]:
        for setting, works in settings.items():
            ours, theirs = both(options.model, transformers_model)
            steps = (map(chaku_step(ours, precision), works), map(peft_step(theirs, precision), works))
            sides = (steps[0].__next__, steps[1].__next__)
            results.append(compare(setting, precision, sides, [work.num_tokens for work in works]))
            results[-1]["shape"] = asdict(ours.config)
            results[-1]["trained_tokens"] = [work.num_trained for work in works[2:]]
            say(f"{setting}, {precision}: {results[-1]['ratio']:.2f} times peft's speed")
    return results


def compare(
    setting: str, precision: str, sides: tuple[Callable[[], float], Callable[[], float]], num_tokens: list[int]
) -> dict[str, Any]:
    """Time steps of each side, in turn, after two of each to warm up. `num_tokens`: of each step, those two included.

    Raises ChakuError when the losses differ: then the two sides do not do the same work.
    """
    losses: tuple[list[float], list[float]] = ([], [])
    seconds: tuple[list[float], list[float]] = ([], [])
    processor: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    for turn in range(len(num_tokens)):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # neither side always goes first
            started, used = time.perf_counter(), time.process_time()
            losses[side].append(sides[side]())
            seconds[side].append(time.perf_counter() - started)
            processor[side].append(time.process_time() - used)
        say(f"{setting}, {precision}, step {turn + 1}: {seconds[0][-1]:.2f} s, the other side {seconds[1][-1]:.2f} s")
        # Rounding grows with every step.
        if not math.isclose(losses[0][-1], losses[1][-1], rel_tol=LOSS_TOLERANCE[precision] * (10 if turn else 1)):
            raise ChakuError(
                f"{setting}, {precision}: the losses of step {turn + 1} differ, {losses[0][-1]} and {losses[1][-1]}; "
                "the sides are not equal"
            )
    gc.enable()
    seconds, processor = (seconds[0][2:], seconds[1][2:]), (processor[0][2:], processor[1][2:])
    # Steps may differ in size, so speeds are compared, step by step.
    speeds = [[count / took for count, took in zip(num_tokens[2:], side, strict=True)] for side in seconds]
    ratios = [our / their for our, their in zip(*speeds, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {
        "setting": setting,
        "precision": precision,
        "chaku_tokens_per_second": statistics.median(speeds[0]),
        "transformers_tokens_per_second": statistics.median(speeds[1]),
        "ratio": statistics.median(speeds[0]) / statistics.median(speeds[1]),
        "ratio_quartiles": [quartiles[0], quartiles[2]],
        "processor_time_ratio": statistics.median(their / our for our, their in zip(*processor, strict=True)),
        "losses": {"chaku": losses[0], "transformers": losses[1]},
        "chaku_seconds": seconds[0],
        "transformers_seconds": seconds[1],
    }


def stepper(model: torch.nn.Module, loss_of: Callable[[], Tensor], precision: str) -> Callable[[], float]:
    """A function that does one whole optimizer step and returns its loss."""
    config = TrainingConfig(learning_rate=1e-4)
    optimizer = make_optimizer(model, config)  # type: ignore[arg-type]
    model.train()

    def step() -> float:
        with autocast(torch.device("cpu"), precision):
            loss = loss_of()
        loss.backward()
        optimizer_step(model, optimizer, config.learning_rate, config.max_grad_norm)  # type: ignore[arg-type]
        return float(loss.detach())

    return step


def transformers_model(model: Llama) -> Any:
    """transformers' Llama of the same shape with the same weights, and its fastest attention on this machine."""
    try:
        from transformers import LlamaConfig as TheirConfig
        from transformers import LlamaForCausalLM
    except ImportError:
        raise ChakuError('transformers is not installed; pip install "chaku[dev]"') from None
    fields = config_to_json(model.config)
    theirs = LlamaForCausalLM(TheirConfig.from_dict(fields, attn_implementation="sdpa", use_cache=False))
    theirs.load_state_dict(copy.deepcopy(model.state_dict()))
    return theirs


def transformers_loss(model: Any, tokens: Tensor) -> Tensor:
    """Its own loss on the same pairs of token and next token: labels are shifted already, as in chaku's step."""
    labels = tokens[:, 1:].contiguous()
    return model(input_ids=tokens[:, :-1], labels=labels, shift_labels=labels).loss


def record(options: argparse.Namespace, results: list[dict[str, Any]]) -> dict[str, Any]:
    """What is needed to read the numbers later."""
    import transformers

    return {
        "benchmark": "train_cpu",
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # of both sides together
        "machine": {"processor": processor_name(), "system": platform.platform(terse=True)},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "results": results,
    }


if __name__ == "__main__":
    try:
        main()
    except ChakuError as error:
        raise SystemExit(f"error: {error}") from None
