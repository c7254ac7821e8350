"""Reading and writing speed on a processor: chaku's decoders beside llama.cpp (xllamacpp) and transformers.

pip install 'chaku[fast]' xllamacpp transformers
python benchmarks/decode.py SmolLM2-135M-Instruct.Q4_1.gguf Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf --rounds 3

Every side runs in a process of its own, in turn, with the same prompts of token numbers. Reading is the time to the
first token of all rows; writing is what further tokens take, chosen greedily. For the same bits on both sides, the
file's weights are also written as Q8_0, which llama.cpp reads and chaku's int8 is. Perplexity is of the text of
Python's own standard library.
"""

import argparse
import concurrent.futures
import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from chaku.checkpoint.convert import convert
from chaku.console import say, show_table
from chaku.files import write_json
from chaku.inference.generator import SamplingParams
from chaku.inference.load import load_engine
from chaku.inference.prompts import Prompt
from chaku.inference.row import Row
from chaku.inference.sampling import choose
from chaku.inference.scheduler import Job, Scheduler
from chaku.machine import processor_name
from chaku.tokens.tokenizer import Tokenizer

Generate = Callable[[list[list[int]], int], None]  # prompts, and how many tokens to write after each
OURS: dict[str, dict[str, Any]] = {
    "chaku int8": {"scheme": "int8", "decoder": "openvino"},
    "chaku int4": {"scheme": "int4", "decoder": "openvino"},
    "chaku float32": {"dtype": "float32", "decoder": "openvino"},
    "chaku float32, PyTorch": {"dtype": "float32", "decoder": "torch"},
}
PEERS = ("llama.cpp Q8_0", "llama.cpp, the file", "transformers float32")
EXACT = "chaku float32"  # whose perplexity the others are measured against


def main() -> None:
    """Measure all sides in turn, show the medians of each model, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="GGUF")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", default=[*OURS, *PEERS], metavar="SIDE")
    parser.add_argument("--perplexity-rows", type=int, default=16, help="of 512 tokens; 0: not measured")
    parser.add_argument("--out", type=Path, default=Path("decode.json"))
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.side:
        print(json.dumps(measure(options.side, options)))
        return
    results = {}
    for model in options.models:
        with TemporaryDirectory(dir=".") as folder:
            forms = make_forms(model, Path(folder), options.sides)
            rounds: dict[str, list[dict[str, float]]] = {side: [] for side in options.sides}
            for number in range(options.rounds):
                for side in options.sides:
                    rounds[side].append(run(side, forms[side], options, perplexity=number == 0))
                    say(f"{model.name}, round {number + 1}: {side} {rounds[side][-1]}")
        found = {
            side: {key: median(seconds[key] for seconds in taken if key in seconds) for key in taken[0]}
            for side, taken in rounds.items()
        }
        show(model.name, found, options.rows)
        results[model.name] = found
    settings = {key: value for key, value in vars(options).items() if key not in ("models", "out", "side")}
    write_json(options.out, {"processor": processor_name(), **settings, "results": results})


def make_forms(model: Path, folder: Path, sides: list[str]) -> dict[str, Path]:
    """What each side loads: the file, its weights as Q8_0, or as a Hugging Face directory in float32."""
    forms = dict.fromkeys(sides, model.resolve())
    if "llama.cpp Q8_0" in sides:
        forms["llama.cpp Q8_0"] = folder.resolve() / "q8_0.gguf"
        convert(model, forms["llama.cpp Q8_0"], "gguf", dtype="q8_0")
    if "transformers float32" in sides:
        forms["transformers float32"] = folder.resolve() / "hf"
        convert(model, forms["transformers float32"], "hf", dtype="float32")
    return forms


def run(side: str, path: Path, options: argparse.Namespace, perplexity: bool) -> dict[str, float]:
    """One side's measurement, in a process of its own."""
    rows = options.perplexity_rows if perplexity else 0
    numbers = {"threads": options.threads, "prompt-tokens": options.prompt_tokens, "new-tokens": options.new_tokens}
    command = [sys.executable, __file__, str(path), "--side", side, "--perplexity-rows", str(rows)]
    command += ["--rows", *map(str, options.rows)]
    command += [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(printed.splitlines()[-1]))


def measure(side: str, options: argparse.Namespace) -> dict[str, float]:
    """Seconds to load, tokens/s of reading and writing for each number of rows, peak GB, perplexity where asked."""
    [path] = options.models
    sides = {"llama.cpp": llama_cpp, "transformers": transformers_side}
    opened = next((open_side for name, open_side in sides.items() if side.startswith(name)), None)
    generator = torch.Generator().manual_seed(0)
    found: dict[str, float] = {}
    with opened(path, options) if opened else ours(side, path) as (load_seconds, generate, perplexity):
        found["load s"] = load_seconds
        for rows in options.rows:
            prompts = torch.randint(1000, 20_000, (rows, options.prompt_tokens), generator=generator).tolist()
            seconds = []
            for new_tokens in (1, 1, 1 + options.new_tokens):  # the first time warms up
                started = time.perf_counter()
                generate(prompts, new_tokens)
                seconds.append(time.perf_counter() - started)
            found[f"read {rows}"] = rows * options.prompt_tokens / seconds[1]
            found[f"write {rows}"] = rows * options.new_tokens / (seconds[2] - seconds[1])
        if perplexity and options.perplexity_rows:
            found["perplexity"] = perplexity(options.perplexity_rows)
    found["peak GB"] = peak_gb()
    return found


def peak_gb() -> float:
    """The most memory this process had; `getrusage` would count what its parent had when it started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6


@contextmanager
def ours(side: str, path: Path) -> Iterator[tuple[float, Generate, Callable[[int], float] | None]]:
    """chaku: what an engine computes with. Libraries are imported before the clock starts, as on the other sides."""
    import gguf  # noqa: F401
    import tokenizers  # noqa: F401

    if OURS[side]["decoder"] == "openvino":
        import chaku.inference.openvino_decoder  # noqa: F401
    started = time.perf_counter()
    engine = load_engine(path, device="cpu", **OURS[side])
    loaded = time.perf_counter() - started

    def generate(prompts: list[list[int]], new_tokens: int) -> None:
        length = max(map(len, prompts)) + new_tokens
        cache = engine.decoder.with_blocks(len(prompts) * (length // engine.decoder.block_size + 2))
        scheduler = Scheduler(cache, engine.tokenizer.vocab_size, choose, guess=False)
        params = SamplingParams(max_tokens=new_tokens)
        for prompt in prompts:
            row = Row(Prompt(tuple(prompt)), params, 0, engine.tokenizer, end_ids=frozenset())
            scheduler.submit(Job(row, lambda piece: None))
        while scheduler.step():
            pass

    def perplexity(num_rows: int) -> float:
        ids = torch.tensor(text_rows(engine.tokenizer, num_rows))
        scores = [engine.decoder.score(part) for part in ids.split(4)]
        return float(torch.cat(scores).double().mean().neg().exp())

    with torch.inference_mode():
        yield loaded, generate, perplexity


def text_rows(tokenizer: Tokenizer, num_rows: int) -> list[list[int]]:
    """Rows of 512 tokens, each the beginning of one file of the standard library, in the order of their names."""
    rows: list[list[int]] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        ids = tokenizer.encode(path.read_text("utf-8")[:20_000])
        if len(ids) >= 512 and len(rows) < num_rows:
            rows.append(ids[:512])
    return rows


@contextmanager
def llama_cpp(path: Path, options: argparse.Namespace) -> Iterator[tuple[float, Generate, None]]:
    """llama.cpp's server, called inside this process; every row has a slot, nothing is kept between calls."""
    import xllamacpp

    slots = max(options.rows)
    started = time.perf_counter()
    params = xllamacpp.CommonParams()
    params.model.path, params.warmup, params.n_parallel = str(path), False, slots
    params.n_ctx = slots * (options.prompt_tokens + options.new_tokens + 64)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.cache_prompt, params.cache_ram_mib, params.verbosity = False, 0, 0
    server = xllamacpp.Server(params)
    loaded = time.perf_counter() - started

    def one(prompt: list[int], new_tokens: int) -> None:
        asked = {"prompt": prompt, "n_predict": new_tokens, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        answer = server.handle_completions(asked)
        used = answer["usage"]
        if (used["prompt_tokens"], used["completion_tokens"]) != (len(prompt), new_tokens):
            raise SystemExit(f"llama.cpp read and wrote {used}, not {len(prompt)} and {new_tokens} tokens")

    with concurrent.futures.ThreadPoolExecutor(slots) as pool:

        def generate(prompts: list[list[int]], new_tokens: int) -> None:
            list(pool.map(one, prompts, [new_tokens] * len(prompts)))

        yield loaded, generate, None


@contextmanager
def transformers_side(path: Path, options: argparse.Namespace) -> Iterator[tuple[float, Generate, None]]:
    """transformers' model, called token by token without its `generate`, which costs more."""
    import transformers

    started = time.perf_counter()
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    loaded = time.perf_counter() - started

    def generate(prompts: list[list[int]], new_tokens: int) -> None:
        out = model(torch.tensor(prompts), use_cache=True, logits_to_keep=1)
        for _ in range(new_tokens - 1):
            chosen = out.logits[:, -1].argmax(dim=-1, keepdim=True)
            out = model(chosen, past_key_values=out.past_key_values, use_cache=True)

    with torch.inference_mode():
        yield loaded, generate, None


def show(model: str, found: dict[str, dict[str, float]], rows: list[int]) -> None:
    """One line a side: tokens/s, and perplexity as the change from float32's."""
    table: list[list[object]] = []
    exact = found.get(EXACT, {}).get("perplexity")
    for side, values in found.items():
        speeds = [f"{values[f'{kind} {row}']:.1f}" for row in rows for kind in ("read", "write")]
        perplexity = "" if "perplexity" not in values else f"{values['perplexity']:.3f}"
        if perplexity and exact:
            perplexity += f" ({values['perplexity'] / exact - 1:+.2%})"
        table.append([side, *speeds, f"{values['load s']:.2f}", f"{values['peak GB']:.2f}", perplexity])
    heads = [f"{kind} tokens/s, {row} row{'s' * (row > 1)}" for row in rows for kind in ("read", "write")]
    show_table(model, ["", *heads, "load s", "peak GB", "perplexity"], table)


if __name__ == "__main__":
    main()
