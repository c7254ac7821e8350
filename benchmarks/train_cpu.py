"""Training speed: chaku's step beside the same step around transformers' LlamaForCausalLM, on one machine in one run.

Both have the same shape, weights, tokens, precision, optimizer and gradient clipping; only the model and its loss
differ. Steps alternate, so that a machine that slows down slows both; the figures are medians.

    python benchmarks/train_cpu.py --out train_cpu.json
"""

import argparse
import copy
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
from chaku.console import say, short, show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.model import PRESETS, Llama, LlamaConfig
from chaku.training.config import TrainingConfig
from chaku.training.step import autocast, make_optimizer, optimizer_step, training_step_loss

LOSS_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}  # relative, on the first loss, from equal weights


def main() -> None:
    """Parse, measure each precision, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo", choices=sorted(PRESETS), help="the model's shape (default: demo)")
    parser.add_argument("--vocab-size", type=int, help="in place of the preset's, as 32016 for Code Llama's")
    parser.add_argument("--compile", action="store_true", help="chaku's side through torch.compile")
    parser.add_argument("--batch", type=int, default=16, help="sequences a step (default: 16)")
    parser.add_argument("--sequence-length", type=int, default=512, help="tokens a sequence (default: 512)")
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each side (default: 12)")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"], choices=list(LOSS_TOLERANCE))
    parser.add_argument("--threads", type=int, help="processor threads (default: torch's choice)")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    shape = PRESETS[options.preset]
    shape = replace(shape, vocab_size=options.vocab_size or shape.vocab_size)
    say(
        f"{options.preset}: {short(shape.num_parameters)} parameters, {options.batch} sequences of "
        f"{options.sequence_length} tokens a step, {options.steps} steps a side, {torch.get_num_threads()} threads"
    )
    results = [
        compare(shape, precision, options.batch, options.sequence_length, options.steps, compiled=options.compile)
        for precision in options.precision
    ]
    rows: list[list[object]] = [
        [
            each["precision"],
            short(each["chaku_tokens_per_second"]),
            short(each["transformers_tokens_per_second"]),
            f"{each['ratio']:.2f}",
            f"{each['ratio_quartiles'][0]:.2f} to {each['ratio_quartiles'][1]:.2f}",
        ]
        for each in results
    ]
    show_table("Training step, tokens/s", ["precision", "chaku", "transformers", "ratio", "middle half"], rows)
    if options.out:
        write_json(options.out, record(options, shape, results))


def compare(
    shape: LlamaConfig, precision: str, batch: int, sequence_length: int, num_steps: int, *, compiled: bool = False
) -> dict[str, Any]:
    """Time `num_steps` steps of each side, in turn, after two of each to warm up.

    Raises ChakuError when the two first losses differ: then the two sides do not do the same work.
    """
    torch.manual_seed(0)
    ours = Llama(shape)
    theirs = transformers_model(ours)
    tokens = torch.randint(shape.vocab_size, (batch, sequence_length + 1))  # (batch, seq + 1)
    forward = torch.compile(training_step_loss) if compiled else training_step_loss
    sides = [
        stepper(ours, lambda: forward(ours, tokens), precision),
        stepper(theirs, lambda: transformers_loss(theirs, tokens), precision),
    ]
    first = [step() for step in sides]
    if not math.isclose(first[0], first[1], rel_tol=LOSS_TOLERANCE[precision]):
        raise ChakuError(f"{precision}: the first losses differ, {first[0]} and {first[1]}; the sides are not equal")
    for step in sides:
        step()
    seconds: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    for turn in range(num_steps):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):  # neither side always goes first
            started = time.perf_counter()
            sides[side]()
            seconds[side].append(time.perf_counter() - started)
    gc.enable()
    ratios = [their / our for our, their in zip(*seconds, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if num_steps > 1 else ratios * 3
    return {
        "precision": precision,
        "chaku_tokens_per_second": batch * sequence_length / statistics.median(seconds[0]),
        "transformers_tokens_per_second": batch * sequence_length / statistics.median(seconds[1]),
        "ratio": statistics.median(seconds[1]) / statistics.median(seconds[0]),
        "ratio_quartiles": [quartiles[0], quartiles[2]],
        "first_loss": {"chaku": first[0], "transformers": first[1]},
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


def record(options: argparse.Namespace, shape: LlamaConfig, results: list[dict[str, Any]]) -> dict[str, Any]:
    """What is needed to read the numbers later."""
    import transformers

    return {
        "benchmark": "train_cpu",
        "preset": options.preset,
        "shape": asdict(shape),
        "num_parameters": shape.num_parameters,
        "batch": options.batch,
        "sequence_length": options.sequence_length,
        "steps": options.steps,
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


def processor_name() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    try:
        main()
    except ChakuError as error:
        raise SystemExit(f"error: {error}") from None
