"""The memory that OpenVINO keeps for the different numbers of tokens that steps have.

python benchmarks/step_memory.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import argparse
import random
import time
from pathlib import Path

from chaku.console import say
from chaku.inference.decoder import Span
from chaku.inference.load import load_engine


def main() -> None:
    """Show the resident memory after 20, 40, ... steps of different numbers of tokens from 1 to 512."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="GGUF")
    parser.add_argument("--steps", type=int, default=120)
    options = parser.parse_args()
    engine = load_engine(options.model, decoder="openvino")  # kept: it owns the weights
    blocks = engine.decoder.with_blocks(64)
    numbers = random.Random(1).sample(range(1, 513), options.steps)
    for number in (512, 1):  # not of interest: what the first steps need
        blocks.forward([Span([5] * number, 0, range(16))])
    begun = time.perf_counter()
    say(f"before: {_memory():.0f} MB")
    for at, number in enumerate(numbers, 1):
        blocks.forward([Span([5] * number, 0, range(16))])
        if at % 20 == 0:
            say(f"after {at} steps: {_memory():.0f} MB, {time.perf_counter() - begun:.1f} s")


def _memory() -> float:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
