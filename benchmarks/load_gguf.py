"""Time and memory of loading a GGUF file: chaku, and the gguf package, each in a process of its own.

python benchmarks/load_gguf.py Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf --rounds 3
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from chaku.console import show_table
from chaku.tokens.load import load_tokenizer

SIDES = ("chaku, to bfloat16", "chaku, as stored (float32)", "the gguf package, to float32")


def main() -> None:
    """Measure each side in turn, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.side:
        print(json.dumps(measure(options.side, options.file)))
        return
    rows: list[list[object]] = []
    for side in SIDES:
        command = [sys.executable, __file__, str(options.file), "--threads", str(options.threads), "--side", side]
        rounds = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            for _ in range(options.rounds)
        ]
        middle = {key: median(one[key] for one in rounds) for key in rounds[0]}
        rows.append([side, *(f"{middle[key]:.2f}" for key in ("weights", "tokenizer", "processor", "peak"))])
    show_table(options.file.name, ["", "weights s", "tokenizer s", "processor s", "peak GB"], rows)


def measure(side: str, path: Path) -> dict[str, Any]:
    """Seconds of the weights and of the tokenizer, processor seconds of both, and peak memory in GB."""
    import gguf
    import tokenizers  # noqa: F401

    from chaku.checkpoint.formats import load_model
    from chaku.tokens.byte_level import ByteLevelTokenizer  # noqa: F401

    processor, start = time.process_time(), time.perf_counter()
    if side.startswith("chaku"):
        model = load_model(path, dtype=torch.bfloat16 if "bfloat16" in side else None)
        loaded = time.perf_counter()
        load_tokenizer(path)
        del model
    else:
        read = gguf.GGUFReader(path)  # vocabulary too
        weights = [gguf.dequantize(tensor.data, tensor.tensor_type) for tensor in read.tensors]
        loaded = time.perf_counter()
        del weights
    return {
        "weights": loaded - start,
        "tokenizer": time.perf_counter() - loaded,
        "processor": time.process_time() - processor,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


if __name__ == "__main__":
    main()
