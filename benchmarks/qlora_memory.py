"""Memory of a training step: all weights in float32, LoRA on a bfloat16 base, and QLoRA on an NF4 base.

Each is a process of its own that loads one random bfloat16 checkpoint, tensor by tensor, and takes two AdamW steps.
Linux only: memory is read from /proc/self/status.

    python benchmarks/qlora_memory.py --out qlora_memory.json
"""

import argparse
import ctypes
import gc
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chaku.checkpoint.huggingface import build_model, load_config, save_config
from chaku.checkpoint.weights import read_tensors, weight_files, write_tensors
from chaku.console import say, short, show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.model.config import LlamaConfig, LoraConfig, ffn_hidden
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, trainable_parameters
from chaku.model.quantization import quantize_tensors, weights_bytes
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.step import optimizer_step, training_step_loss

KINDS = {"full": "all, float32", "lora": "LoRA on bfloat16", "qlora": "QLoRA on NF4"}
SHARD_BYTES = 200_000_000


def main() -> None:
    """Parse, write the checkpoint, measure each kind in a fresh process, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=16, help="decoder layers (default: 16)")
    parser.add_argument("--hidden-size", type=int, default=1024, help="width (default: 1024)")
    parser.add_argument("--vocab-size", type=int, default=32016, help="default: 32016, Code Llama's")
    parser.add_argument("--rank", type=int, default=16, help="of LoRA (default: 16)")
    parser.add_argument("--tokens", type=int, default=128, help="one sequence of so many a step (default: 128)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: 1)")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--measure", nargs=2, metavar=("KIND", "DIRECTORY"), help=argparse.SUPPRESS)  # in the process
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        kind, directory = options.measure
        print(json.dumps(measure(kind, Path(directory), options.rank, options.tokens)))
        return
    hidden = options.hidden_size
    shape = LlamaConfig(
        options.vocab_size, hidden, ffn_hidden(hidden, 256), options.layers, hidden // 64, hidden // 64, 4096
    )
    say(f"{short(shape.num_parameters)} parameters, rank {options.rank}, {options.tokens} tokens a step")
    with tempfile.TemporaryDirectory() as directory:
        save_config(shape, Path(directory), torch.bfloat16)
        write_tensors(random_tensors(shape), Path(directory), SHARD_BYTES)
        results = []
        for kind in KINDS:
            command = [sys.executable, __file__, *sys.argv[1:], "--measure", kind, directory]
            results.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    headings = ["", "trained", "weights", "loaded", "peak loading", "after a step", "peak of all", "s a step"]
    keys = ("weights_bytes", "loaded_bytes", "peak_loading_bytes", "steady_bytes", "peak_bytes")
    rows: list[list[object]] = [
        [
            KINDS[result["kind"]],
            short(result["num_trained"]),
            *(f"{result[key] / 1e6:,.0f} MB" for key in keys),
            f"{result['seconds']:.1f}",
        ]
        for result in results
    ]
    show_table("Memory beyond the program's own", headings, rows)
    if options.out:
        write_json(options.out, record(options, shape, results))


def random_tensors(shape: LlamaConfig) -> Iterator[tuple[str, Tensor]]:
    """A checkpoint's tensors, made one at a time."""
    with torch.device("meta"):
        model = Llama(shape)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        ones = parameter.ndim == 1
        tensor = torch.ones(parameter.shape) if ones else torch.randn(parameter.shape, generator=generator) * 0.02
        yield name, tensor.to(torch.bfloat16)


def measure(kind: str, directory: Path, rank: int, num_tokens: int) -> dict[str, Any]:
    """Load, take two steps, and tell the memory beyond what the program took before.

    "loaded" and "steady" are anonymous memory, so without mapped files; the peaks are resident memory, with them: of
    the checkpoint at most 256 MB and a tensor are mapped at a time.
    """
    torch.manual_seed(0)
    warm_up(kind)
    anonymous, resident = memory("RssAnon"), memory("VmRSS")
    dtype = torch.float32 if kind == "full" else torch.bfloat16
    # Copies: weights that stay in the map of the file would count as no memory at all.
    tensors = ((name, tensor.to(dtype, copy=True)) for name, tensor in read_tensors(weight_files(directory)))
    model = build_model(
        load_config(directory), quantize_tensors(tensors, "nf4") if kind == "qlora" else tensors, directory
    )
    weights = weights_bytes(model)
    loaded, peak_loading = memory("RssAnon") - anonymous, memory("VmHWM") - resident
    if kind != "full":
        add_lora(model, LoraConfig(rank=rank))
    config = TrainingConfig(learning_rate=1e-4)
    optimizer = make_optimizer(model, config)
    tokens = torch.randint(model.config.vocab_size, (1, num_tokens + 1))
    model.train()
    losses, seconds = [], 0.0
    for _ in range(2):
        started = time.perf_counter()
        loss = training_step_loss(model, tokens)
        loss.backward()
        optimizer_step(model, optimizer, config.learning_rate, config.max_grad_norm)
        losses.append(float(loss.detach()))
        del loss
        seconds = time.perf_counter() - started  # the second step's: the first makes the optimizer's state
    return {
        "kind": kind,
        "num_trained": sum(parameter.numel() for _, parameter in trainable_parameters(model)),
        "weights_bytes": weights,
        "loaded_bytes": loaded,
        "peak_loading_bytes": peak_loading,
        "steady_bytes": memory("RssAnon") - anonymous,
        "peak_bytes": memory("VmHWM") - resident,
        "program_bytes": resident,
        "losses": losses,
        "seconds": seconds,
    }


def warm_up(kind: str) -> None:
    """Import and start what the measured work needs, so that it counts as the program's own."""
    weight = torch.zeros(64, 64, dtype=torch.bfloat16)
    if kind == "qlora":
        list(quantize_tensors([("x.q_proj.weight", weight)], "nf4"))
    torch.optim.AdamW([torch.nn.Parameter(weight @ weight)], fused=True)


def memory(field: str) -> int:
    """A field of /proc/self/status in bytes, after what is free has gone back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def record(options: argparse.Namespace, shape: LlamaConfig, results: list[dict[str, Any]]) -> dict[str, Any]:
    """What is needed to read the numbers later."""
    return {
        "benchmark": "qlora_memory",
        "shape": asdict(shape),
        "num_parameters": shape.num_parameters,
        "rank": options.rank,
        "tokens": options.tokens,
        "threads": options.threads,
        "system": platform.platform(terse=True),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "torchao": version("torchao")},
        "results": results,
    }


if __name__ == "__main__":
    try:
        main()
    except ChakuError as error:
        raise SystemExit(f"error: {error}") from None
