"""Memory of loading a 7B-shaped checkpoint: bfloat16 shards of random weights, each side in a process of its own.

"touched" means that every weight was read once, so that what is memory-mapped counts. The shards take 13.5 GB of disk.

    python benchmarks/load_7b.py --out load_7b.json
    python benchmarks/load_7b.py --meta-shards 2
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_config
from chaku.checkpoint.meta import write_meta
from chaku.checkpoint.weights import write_tensors
from chaku.console import say, show_table
from chaku.files import write_json
from chaku.model.config import PRESETS, LlamaConfig
from chaku.model.llama import Llama

SIDES = ("chaku, as stored", "chaku, to float16", "transformers, as stored")


def main() -> None:
    """Write the checkpoint, measure each side, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="7b", choices=sorted(PRESETS), help="the model's shape (default: 7b)")
    parser.add_argument("--directory", type=Path, help="where the checkpoint is written (default: a temporary one)")
    parser.add_argument(
        "--meta-shards", type=int, help="write Meta's format, in so many shards (default: Hugging Face's)"
    )
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.directory)))
        return
    shape = PRESETS[options.preset]
    weights = 2 * shape.num_parameters
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        say(f"writing {weights / 1e9:.2f} GB in shards")
        if options.meta_shards:
            write_meta(shape, random_tensors(shape), Path(place), options.meta_shards)
        else:
            write_tensors(random_tensors(shape), Path(place))
            save_config(shape, Path(place), torch.bfloat16)
        results = []
        for side in SIDES[:2] if options.meta_shards else SIDES:
            command = [sys.executable, __file__, "--side", side, "--directory", place]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results.append({"side": side, **json.loads(answer.splitlines()[-1])})
    shown: list[list[object]] = [
        [
            result["side"],
            f"{result['load_seconds']:.1f}",
            f"{result['loaded_bytes'] / 1e9:.2f}",
            f"{result['peak_bytes'] / 1e9:.2f}",
            f"{result['peak_bytes'] / weights:.3f}",
        ]
        for result in results
    ]
    columns = ["side", "seconds", "loaded GB", "peak GB, touched", "of the weights"]
    show_table(f"Loading {weights / 1e9:.2f} GB", columns, shown)
    if options.out:
        about = {"benchmark": "load_7b", "weights_bytes": weights, "meta_shards": options.meta_shards}
        write_json(options.out, {**about, "results": results})


def random_tensors(shape: LlamaConfig) -> Iterator[tuple[str, Tensor]]:
    """One at a time."""
    with torch.device("meta"):
        model = Llama(shape)
    for name, parameter in model.named_parameters():
        yield name, (torch.randn(parameter.shape) * 0.02).to(torch.bfloat16)


def measure(side: str, directory: Path) -> dict[str, Any]:
    """Load and read every weight; memory above what the libraries themselves take."""
    model: Any
    if side.startswith("transformers"):
        from transformers import AutoModelForCausalLM

        before, started = memory("VmRSS"), time.perf_counter()
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
    else:
        before, started = memory("VmRSS"), time.perf_counter()
        model = load_model(directory, dtype=torch.float16 if side.endswith("float16") else None)
    seconds = time.perf_counter() - started
    loaded = memory("VmRSS") - before
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.view(torch.int16).max()
    return {"load_seconds": seconds, "loaded_bytes": loaded, "peak_bytes": memory("VmHWM") - before}


def memory(field: str) -> int:
    """A line of Linux's /proc/self/status, in bytes: VmRSS is what is resident, VmHWM its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("error: this benchmark reads /proc/self/status, which Linux has")


if __name__ == "__main__":
    main()
