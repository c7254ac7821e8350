"""Training speed on GPUs: chaku's step beside the same step of transformers' LlamaForCausalLM under FSDP2, in one run.

Both sides begin with the same weights and train on the same tokens with the same optimizer; the first losses are
compared. chaku's side is what a stage does: `sharded_model` or `build_model`, `accumulate`, `optimizer_step`.
torchtitan's published figures stand beside them for reference; torchtitan is not run.

    python benchmarks/gpu_train.py --shape 1.3b --sequence-length 4096 16384 --out gpu_train.json       # one GPU
    python benchmarks/gpu_train.py --shape 7b --gpus 8 --layout shard tensor=2 context=2 --compile --out gpu_train.json
    python benchmarks/gpu_train.py --device cpu --shape tiny --gpus 2                                   # tries it out

The goals on one H100, 1.3B parameters, bfloat16: at least 50% MFU with 4,096 tokens and 45% with 16,384. MFU counts
the operations of `LlamaConfig.flops_per_token` (the causal half of attention, nothing that is computed again) and
divides by the peak that the GPU's maker publishes; on other devices, by a measured matrix product.
"""

import argparse
import gc
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from chaku.checkpoint.config_json import config_to_json
from chaku.checkpoint.huggingface import build_model, random_tensors
from chaku.console import say, short, table_in_text
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.launcher import num_ranks, rank
from chaku.machine import processor_name
from chaku.model.config import PRESETS, RECOMPUTE, LlamaConfig, Recompute
from chaku.tokens.loader import Batch
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.gpus import GPUS
from chaku.training.optimizers import make_optimizer
from chaku.training.parallel import local_part
from chaku.training.ranks import Ranks, lay_out, start
from chaku.training.sharded import sharded_model
from chaku.training.speed import peak_flops
from chaku.training.step import accumulate, autocast, optimizer_step, training_step_loss

SHAPES = {
    "1.3b": LlamaConfig(
        vocab_size=32_256,
        hidden_size=2048,
        intermediate_size=5504,
        num_hidden_layers=24,
        num_attention_heads=16,
        num_key_value_heads=16,
        max_position_embeddings=16_384,
    ),
    **{name: PRESETS[name] for name in ("7b", "13b", "34b", "tiny")},
}
# Dense operations a second in 16 bits, by a word of the device's name.
PEAKS = {
    word: GPUS[gpu].flops for word, gpu in (("H100", "h100"), ("H200", "h200"), ("B200", "b200"), ("A100", "a100-80g"))
}
SEED = 5
TITAN = "https://github.com/pytorch/torchtitan/blob/main/"
H100, A100 = "benchmarks/llama3_h100_202412_torchtitan.md", "docs/performance.md"
# model, GPUs, tokens a sequence (the model's default there), settings, tokens/s for each GPU, MFU, GiB, source
PUBLISHED: list[list[str]] = [
    [
        "8B",
        "8 H100",
        "8,192",
        "FSDP, batch 2, selective",
        "5,762",
        "",
        "82.4",
        H100,
    ],
    ["8B", "8 H100", "8,192", "the same, compiled", "6,667", "", "77.0", H100],
    ["8B", "64 A100", "8,192", "FSDP, batch 1, selective", "2,973", "58.2%", "", A100],
    ["13B", "64 A100", "4,096", "FSDP, batch 2, none", "2,162", "61.1%", "", A100],
    ["13B", "64 A100", "4,096", "FSDP, batch 2, selective", "1,904", "53.8%", "", A100],
]


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    side: str  # "chaku" or "transformers"
    shape: str
    sequence_length: int
    layout: str
    recompute: Recompute


def main() -> None:
    """Parse; start the ranks if there are to be several; measure; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", default=["1.3b"], choices=list(SHAPES), help="(default: 1.3b)")
    parser.add_argument("--sequence-length", nargs="+", type=int, help="(default: 4096 16384; tiny: 64)")
    parser.add_argument("--gpus", type=int, default=1, help="ranks on this machine (default: 1)")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="(default: cuda)")
    parser.add_argument(
        "--layout", nargs="+", default=["shard"], help="shard, tensor=2, reshard=0, context=2,replicate=2, ..."
    )
    parser.add_argument("--recompute", nargs="+", choices=RECOMPUTE, default=["none", "selective", "full"])
    parser.add_argument("--micro-batch-tokens", type=int, default=16_384, help="of a rank (default: 16384)")
    parser.add_argument("--micro-batches", type=int, default=2, help="of a step and rank (default: 2)")
    parser.add_argument("--steps", type=int, default=8, help="timed steps, after two to warm up (default: 8)")
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--compile", action="store_true", help="compile both sides")
    parser.add_argument("--sides", nargs="+", default=["chaku", "transformers"], choices=["chaku", "transformers"])
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ChakuError("no GPU is here; --device cpu --shape tiny tries the script out")
    if options.gpus > 1 and num_ranks() == 1:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={options.gpus}"]
        raise SystemExit(subprocess.run([*torchrun, *sys.argv]).returncode)
    device = torch.device(options.device)
    if num_ranks() > 1:
        device = start(device)
    results = [measure(setting, options, device) for setting in settings(options)]
    check_losses(results, options.precision)
    if rank() == 0:
        print_tables(results)
        if options.out:
            write_json(options.out, record(options, device, results))
    if num_ranks() > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def settings(options: argparse.Namespace) -> list[Setting]:
    """The rows. transformers has one layout, and recomputes everything or nothing."""
    found = []
    for shape in options.shape:
        for length in options.sequence_length or ([64] if shape == "tiny" else [4096, 16_384]):
            for side in options.sides:
                for layout in options.layout:
                    for recompute in options.recompute:
                        if side == "chaku" or (layout == "shard" and recompute in ("none", "full")):
                            found.append(Setting(side, shape, length, layout, recompute))
    return found


def measure(setting: Setting, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Train a few steps. A setting without enough memory gives a result without a speed."""
    shape, length = SHAPES[setting.shape], setting.sequence_length
    sizes: dict[str, Any] = {
        name: int(size) for name, _, size in (part.partition("=") for part in setting.layout.split(",")) if size
    }
    ranks = lay_out(ParallelConfig(**sizes), device.type)
    rows = max(1, options.micro_batch_tokens * ranks.num_context // length)
    rows = 2 if setting.shape == "tiny" else rows
    micro = rows * length // ranks.num_context
    config = TrainingConfig(
        micro_batch_tokens=micro, learning_rate=1e-4, compile=options.compile, recompute=setting.recompute
    )
    generator = torch.Generator().manual_seed(SEED + ranks.data_rank)
    tokens = torch.randint(shape.vocab_size, (options.micro_batches * rows, length + 1), generator=generator)
    batch = Batch(tokens, torch.zeros_like(tokens), 0, 0)
    result: dict[str, Any] = {**asdict(setting), "ranks": ranks.size, "micro_batch_tokens": micro}
    name = ", ".join(str(value) for value in asdict(setting).values())
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        make = chaku_step if setting.side == "chaku" else transformers_step
        step = make(setting, shape, batch, config, options.precision, device, ranks)
        losses, seconds = timed(step, options.steps, device)
    except torch.OutOfMemoryError:
        say(f"{name}: not enough memory")
        return {**result, "losses": []}
    speed = batch.tokens[:, 1:].numel() * ranks.num_data / statistics.median(seconds) / ranks.size
    peak = published_peak(device) or peak_flops(device, getattr(torch, options.precision))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(device)
    result |= {
        "tokens_per_second_per_rank": speed,
        "mfu": speed * shape.flops_per_token(length) / peak,
        "peak_flops": peak,
        "peak_memory_bytes": max(ranks.all_objects(memory)),
        "losses": losses,
        "seconds": seconds,
    }
    if rank() == 0:
        say(f"{name}: {short(speed)} tokens/s for each rank, MFU {result['mfu']:.1%}")
    return result


def timed(step: Callable[[], float], steps: int, device: torch.device) -> tuple[list[float], list[float]]:
    """The losses of all steps; the seconds of all but the first two."""
    losses, seconds = [], []
    for _ in range(steps + 2):
        started = time.perf_counter()
        losses.append(step())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return losses, seconds[2:]


def chaku_step(
    setting: Setting,
    shape: LlamaConfig,
    batch: Batch,
    config: TrainingConfig,
    precision: str,
    device: torch.device,
    ranks: Ranks,
) -> Callable[[], float]:
    """A stage's step: the functions that `chaku.training.trainer.train` calls, in its order."""
    tensors = random_tensors(shape, SEED)
    if ranks.size > 1:
        length = setting.sequence_length
        model = sharded_model(shape, tensors, "", device, ranks, length, precision, compiled=config.compile)
    else:
        model = build_model(shape, tensors, "", device=device)
    model.set_recompute(config.recompute)
    model.train()
    optimizer = make_optimizer(model, config)
    compiled = config.compile and not model.distributed
    forward = torch.compile(training_step_loss) if compiled else training_step_loss
    context = nullcontext if model.distributed else partial(autocast, device, precision)

    def step() -> float:
        with context():
            loss = accumulate(forward, model, batch, config, device, ranks)
        optimizer_step(model, optimizer, config.learning_rate, config.max_grad_norm)
        return loss

    return step


def transformers_step(
    setting: Setting,
    shape: LlamaConfig,
    batch: Batch,
    config: TrainingConfig,
    precision: str,
    device: torch.device,
    ranks: Ranks,
) -> Callable[[], float]:
    """transformers' Llama, sharded by FSDP2 layer by layer as its users do, with chaku's optimizer and clipping."""
    from transformers import LlamaConfig as TheirConfig
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    their_config = TheirConfig.from_dict(config_to_json(shape), attn_implementation="sdpa", use_cache=False)
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(their_config)
    if setting.recompute == "full":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if config.compile:
        for layer in model.model.layers:
            layer.compile()
    if ranks.size > 1:
        policy = MixedPrecisionPolicy()
        if precision == "bfloat16":
            policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for module in (*model.model.layers, model):
            fully_shard(module, mesh=ranks.shards, mp_policy=policy)
    model.to_empty(device=device)
    model.model.rotary_emb = LlamaRotaryEmbedding(their_config).to(device)  # its buffer was on no device
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in random_tensors(shape, SEED):
            part, place = local_part(parameters[name])
            part.copy_(tensor[place])
    model.train()
    optimizer = make_optimizer(model, config)
    context = nullcontext if ranks.size > 1 else partial(autocast, device, precision)
    parts = list(batch.split(max(1, config.micro_batch_tokens // setting.sequence_length)))

    def step() -> float:
        total = 0.0
        for number, part in enumerate(parts):
            if ranks.size > 1:
                model.set_requires_gradient_sync(number == len(parts) - 1)
            tokens = part.tokens.to(device)
            labels = tokens[:, 1:].contiguous()
            with context():
                loss = model(input_ids=tokens[:, :-1], labels=labels, shift_labels=labels).loss / len(parts)
            loss.backward()
            total += float(loss.detach())
        optimizer_step(model, optimizer, config.learning_rate, config.max_grad_norm)
        return ranks.sum([total])[0] / ranks.size

    return step


def published_peak(device: torch.device) -> float | None:
    """The published peak of a GPU; None for a device that the table does not know."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for word, peak in PEAKS.items() if word in name), None)


def check_losses(results: list[dict[str, Any]], precision: str) -> None:
    """Raises ChakuError when two settings with the same tokens begin with different losses: they do different work."""
    tolerance = 1e-4 if precision == "float32" else 2e-2
    for result in results:
        same = [
            other
            for other in results
            if result["losses"]
            and other["losses"]
            and all(result[key] == other[key] for key in ("shape", "sequence_length", "layout"))
        ]
        for other in same:
            if not math.isclose(result["losses"][0], other["losses"][0], rel_tol=tolerance):
                raise ChakuError(f"the first losses differ, {result['losses'][0]} and {other['losses'][0]}: {result}")


def print_tables(results: list[dict[str, Any]]) -> None:
    """The measured table, then torchtitan's published figures."""
    rows: list[list[str]] = []
    for result in results:
        row: list[str] = [str(result[key]) for key in ("side", "shape", "sequence_length", "layout", "recompute")]
        if result["losses"]:
            gib = f"{result['peak_memory_bytes'] / 2**30:.1f}"
            rows.append([*row, short(result["tokens_per_second_per_rank"]), f"{result['mfu']:.1%}", gib])
        else:
            rows.append([*row, "not enough memory", "", ""])
    heads = ["", "model", "tokens a sequence", "layout", "recompute", "tokens/s a rank", "MFU", "peak GiB"]
    print(f"Training on {results[0]['ranks']} ranks")
    print(table_in_text([heads, *rows]))
    heads = ["model", "GPUs", "tokens a sequence", "settings", "tokens/s a GPU", "MFU", "GiB", "source"]
    print(f"torchtitan's published figures, not run here; the sources are under {TITAN}")
    print(table_in_text([heads, *PUBLISHED]))


def record(options: argparse.Namespace, device: torch.device, results: list[dict[str, Any]]) -> dict[str, Any]:
    """What is needed to read the numbers later."""
    import transformers

    return {
        "benchmark": "gpu_train",
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "machine": {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
            "system": platform.platform(terse=True),
            "threads": os.environ.get("OMP_NUM_THREADS"),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "results": results,
        "torchtitan_published": {"source": TITAN, "rows": PUBLISHED},
    }


if __name__ == "__main__":
    try:
        main()
    except ChakuError as error:
        raise SystemExit(f"error: {error}") from None
