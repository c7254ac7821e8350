"""A server's speed for people: chaku's beside llama.cpp's (xllamacpp) and transformers', one after another.

pip install 'chaku[fast,serve]' xllamacpp 'transformers[serving]'
python benchmarks/serve.py SmolLM2-135M-Instruct.Q4_1.gguf Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf

Keystrokes: a person types a line into a file of the standard library, and every key asks for a completion at the
cursor; the time to the first text is measured. Throughput: clients ask for 64 tokens after prompts that nobody asked
before. Rewriting: a function is written again with one change, with and without guesses. `--soak MINUTES`: clients
that come, go and leave early; errors, the server's memory at the beginning and the end, and the longest wait.
llama.cpp gets the weights as Q8_0, which has as many bits as chaku's int8; transformers computes in bfloat16.
"""

import argparse
import ast
import http.client
import inspect
import json
import random
import socket
import statistics
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chaku.checkpoint.convert import convert
from chaku.console import say, show_table
from chaku.files import write_json
from chaku.machine import processor_name

SIDES = ("chaku", "llama.cpp", "transformers")
KEYS = 40  # typed in a keystroke run
WRITTEN = 64  # tokens of a text in the throughput run
LLAMA_CPP = """
import sys, time, xllamacpp
path, port, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_parallel, params.n_ctx = path, port, slots, slots * 1536
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
params.verbosity = 0
server = xllamacpp.Server(params)
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def main() -> None:
    """Measure all sides in turn, show the figures of each model, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="GGUF")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys-only", action="store_true", help="measure keystrokes alone")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--proxy", action="store_true", help="also what `--upstream` adds to a request")
    parser.add_argument("--out", type=Path, default=Path("serve.json"))
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": processor_name()}
    with TemporaryDirectory() as directory:
        for model in options.models:
            files = _weights(model, Path(directory), options.sides)
            rounds: dict[str, list[dict[str, float]]] = {side: [] for side in options.sides}
            for number in range(options.rounds):
                for side in options.sides:
                    say(f"{model.stem}: {side}, round {number + 1}")
                    with serving(side, files[side], max(options.clients)) as server:
                        measured = keystrokes(server) if options.keys_only else measure(server, options.clients)
                        rounds[side].append(measured)
            medians = {
                side: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
                for side, runs in rounds.items()
            }
            if options.soak and "chaku" in options.sides:
                with serving("chaku", files["chaku"], 32) as server:
                    medians["chaku"] |= soak(server, options.soak)
            if options.proxy:
                medians["chaku"] |= proxy(files["chaku"])
            found[model.stem] = {"medians": medians, "rounds": rounds}
            names = list(dict.fromkeys(key for row in medians.values() for key in row))
            rows: list[list[object]] = []
            for name in names:
                rows.append([name, *(f"{medians[side].get(name, float('nan')):.4g}" for side in medians)])
            show_table(model.stem, ["", *medians], rows)
    write_json(options.out, found)


def _weights(model: Path, directory: Path, sides: list[str]) -> dict[str, Path]:
    """The model's files for each side."""
    files = {"chaku": model}
    if "llama.cpp" in sides:
        files["llama.cpp"] = directory / f"{model.stem}.Q8_0.gguf"
        convert(model, files["llama.cpp"], to="gguf", dtype="q8_0")
    if "transformers" in sides:
        files["transformers"] = directory / model.stem
        convert(model, files["transformers"], to="hf", dtype="bfloat16")
    return files


class Server:
    """A running server. `process`: its process."""

    def __init__(self, side: str, port: int, process: "subprocess.Popen[bytes]", model: str):
        self.side, self.port, self.process, self.model = side, port, process, model

    def post(self, path: str, body: dict[str, Any], *, until_first: bool = False) -> tuple[float, str, int]:
        """(seconds to the first text, text, tokens) of a streamed answer; `until_first`: leave after the first text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        started, first, text, num_tokens = time.perf_counter(), 0.0, "", 0
        try:
            sent = json.dumps({"model": self.model, "stream": True, **body})
            connection.request("POST", path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"{self.side} answers {response.status}: {response.read(300)!r}")
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                new = _text(event)
                num_tokens = max(num_tokens, _tokens(event))
                if new and not first:
                    first = time.perf_counter() - started
                    if until_first:
                        break
                text += new
        finally:
            connection.close()
        return first or time.perf_counter() - started, text, num_tokens

    def memory(self) -> float:
        """The server's resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1e3


def _text(event: dict[str, Any]) -> str:
    if "content" in event:  # llama.cpp's own routes
        return str(event["content"])
    for choice in event.get("choices", []):
        return str(choice.get("text") or choice.get("delta", {}).get("content") or "")
    return ""


def _tokens(event: dict[str, Any]) -> int:
    usage = event.get("usage") or {}
    return int(usage.get("completion_tokens") or event.get("tokens_predicted") or 0)


@contextmanager
def serving(side: str, model: Path, slots: int, *options: str) -> Iterator[Server]:
    """A server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = {
        "chaku": [sys.executable, "-m", "chaku", "serve", model, "--port", port, "--rows", slots, *options],
        "llama.cpp": [sys.executable, "-c", LLAMA_CPP, model, port, slots],
        "transformers": [Path(sys.executable).parent / "transformers", "serve", model, "--port", port],
    }[side]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(side, port, process, str(model))
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                server.post("/v1/completions", {"prompt": "def", "max_tokens": 2, "temperature": 0})
                break
            except (OSError, RuntimeError):  # not yet listening, or still loading
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{side} does not start") from None
                time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(server: Server, clients: list[int]) -> dict[str, float]:
    """The figures of one server."""
    found = keystrokes(server)
    for number in clients:
        found[f"tokens/s, {number} clients"] = throughput(server, number)
    return found | rewriting(server)


def keystrokes(server: Server) -> dict[str, float]:
    """Milliseconds from a key to the first text, while a line is typed in the middle of a file."""
    lines = _files()[0].read_text("utf-8").splitlines(keepends=True)
    before, line, after = (
        "".join(lines[60:200]),
        "    def add_argument(self, *args, **kwargs):\n",
        "".join(lines[200:240]),
    )
    seconds = []
    for number in range(KEYS + 1):
        prefix = before + line[:number]
        asked: dict[str, Any] = {"n_predict": 16, "temperature": 0}
        if server.side == "transformers" or "SmolLM2" in server.model:  # neither infills
            path, asked = "/v1/completions", {"prompt": prefix, "max_tokens": 16, "temperature": 0}
        else:
            path, asked = "/infill", asked | {"input_prefix": before, "prompt": line[:number], "input_suffix": after}
        first, _, _ = server.post(path, asked)
        seconds.append(first)
    typed = sorted(seconds[1:])  # the first key reads the file
    return {
        "first key, ms": seconds[0] * 1e3,
        "key p50, ms": typed[len(typed) // 2] * 1e3,
        "key p95, ms": typed[int(0.95 * len(typed))] * 1e3,
    }


def throughput(server: Server, clients: int) -> float:
    """Written tokens a second of clients that ask one after another, all at one time."""
    texts = [path.read_text("utf-8") for path in _files()[1:40]]
    draw = random.Random(clients)
    prompts = []
    for _ in range(clients * (2 if clients > 1 else 4)):
        text = draw.choice(texts)
        start = draw.randrange(len(text) - 800)
        prompts.append(text[start : start + 600])

    def ask(prompt: str) -> int:
        body = {"prompt": prompt, "max_tokens": WRITTEN, "temperature": 0, "stream_options": {"include_usage": True}}
        _, text, num_tokens = server.post("/v1/completions", body)
        return num_tokens or (WRITTEN if text else 0)

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        total = sum(pool.map(ask, prompts))
    return total / (time.perf_counter() - started)


def rewriting(server: Server) -> dict[str, float]:
    """Tokens a second while a function is written again with one name changed."""
    source = inspect.getsource(statistics.median_grouped)
    tree = ast.parse(source)
    code = ast.unparse(ast.FunctionDef(**{**vars(tree.body[0]), "body": vars(tree.body[0])["body"][1:]}))
    prompt = f"# The function, and the same function with the argument `data` renamed to `values`.\n\n{code}\n\n\n"
    started = time.perf_counter()
    body = {"prompt": prompt, "max_tokens": 192, "temperature": 0, "stream_options": {"include_usage": True}}
    first, _, num_tokens = server.post("/v1/completions", body)
    seconds = time.perf_counter() - started - first
    return {"rewriting, tokens/s": (num_tokens or 192) / max(seconds, 1e-9)}


def soak(server: Server, minutes: float, clients: int = 64) -> dict[str, float]:
    """Clients that come and go: errors, growth of memory, and the longest time to the first text."""
    texts = [path.read_text("utf-8") for path in _files()[:40]]
    ends, lock = time.monotonic() + 60 * minutes, threading.Lock()
    errors, firsts, num_left = [], [], 0

    def client(number: int) -> None:
        nonlocal num_left
        draw = random.Random(number)
        while time.monotonic() < ends:
            text = draw.choice(texts)
            start = draw.randrange(len(text) - 900)
            body = {"prompt": text[start : start + draw.randrange(50, 800)], "max_tokens": draw.randrange(4, 64)}
            leaves = draw.random() < 0.3
            try:
                first, _, _ = server.post("/v1/completions", body, until_first=leaves)
                with lock:
                    firsts.append(first)
                    num_left += leaves
            except Exception as error:
                with lock:
                    errors.append(repr(error))
            time.sleep(draw.random() * 0.5)

    memory = []
    with ThreadPoolExecutor(clients) as pool:
        for number in range(clients):
            pool.submit(client, number)
        while time.monotonic() < ends:
            time.sleep(min(20, max(ends - time.monotonic(), 0)))
            memory.append(server.memory())
    for error in errors[:5]:
        say(error)
    return {
        "soak: texts": len(firsts),
        "soak: left early": num_left,
        "soak: errors": len(errors),
        "soak: first text p50, ms": statistics.median(firsts) * 1e3,
        "soak: first text max, ms": max(firsts) * 1e3,
        "soak: memory at a third, MB": memory[len(memory) // 3],
        "soak: memory at the end, MB": memory[-1],
    }


def proxy(model: Path, num_requests: int = 60) -> dict[str, float]:
    """Milliseconds that a server before another one adds to the first text: the median of pairs, in turn."""
    text = _files()[0].read_text("utf-8")
    with (
        serving("chaku", model, 8) as behind,
        serving("chaku", model, 8, "--upstream", f"http://127.0.0.1:{behind.port}") as before,
    ):
        added = []
        for number in range(num_requests):
            body = {"prompt": text[number * 50 : number * 50 + 200] + "\n", "max_tokens": 1, "temperature": 0}
            behind.post("/v1/completions", body)  # the prompt is in the cache for both
            direct, _, _ = behind.post("/v1/completions", body)
            through, _, _ = before.post("/v1/completions", body)
            added.append(through - direct)
    return {"added by --upstream, ms": statistics.median(added) * 1e3}


def _files() -> list[Path]:
    """Files of the standard library, the long ones first by name."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return [path for path in paths if path.stat().st_size > 12_000]


if __name__ == "__main__":
    main()
