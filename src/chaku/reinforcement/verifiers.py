"""Rewards of one's own: a Python function, which runs in the sandbox, or a program behind HTTP."""

import ast
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import read_text
from chaku.inference.post_json import http_parts, post_json
from chaku.reinforcement.rewards import Judged, Waiting
from chaku.reinforcement.tasks import Task
from chaku.sandbox.pool import Pool
from chaku.sandbox.verdict import Job, Verdict

CALL = """
import json as _json, sys as _sys
_given = _json.loads(_sys.stdin.read())
_value = float(reward(_given["text"], _given["row"]))
print()
print(_json.dumps({"reward": _value}))
"""
NUM_THREADS = 8  # requests at one time
ATTEMPTS = 3  # of a request: a verifier that is away should stop a stage soon


class FunctionReward:
    """Calls `reward(text, row)` of a Python file in the sandbox, in a fresh process for each sample.

    The function gets the reply as text, and the row's fields; its number is the reward, and 1 or more counts as solved.
    A function that raises an exception gives 0. It should not run the text: a reply could then print its own reward;
    `tests` in the rows run programs in a process apart. Raises ChakuError for a file without such a function.
    """

    def __init__(self, path: Path, timeout: float):
        self._source = read_text(path)
        try:
            names = {node.name for node in ast.parse(self._source).body if isinstance(node, ast.FunctionDef)}
        except SyntaxError as error:
            raise ChakuError(f"{path}, line {error.lineno}: {error.msg}; correct the function `reward`") from None
        if "reward" not in names:
            raise ChakuError(f"{path} has no function reward(text, row); define it at the top level of the file")
        self._pool = Pool(timeout=timeout)
        self._pool.__enter__()

    def problem(self, task: Task) -> str:
        return ""

    def submit(self, task: Task, text: str) -> Waiting:
        future = self._pool.submit(Job(self._source + CALL, stdin=json.dumps(as_plain(task, text))))
        return lambda: _judged(future.result())

    def close(self) -> None:
        self._pool.__exit__(None, None, None)


def _judged(verdict: Verdict) -> Judged:
    if verdict.status == "sandbox_error":
        raise ChakuError(f"the sandbox failed: {verdict.reason}; run the same command to go on")
    if not verdict.passed or verdict.stdout_cut:
        return Judged(0.0, False, verdict.reason or "the function printed too much")
    value = float(json.loads(verdict.stdout.splitlines()[-1])["reward"])
    return _counted(value, "the function")


class HttpReward:
    """Posts {"text", "prompt", "row"} to a URL, which answers {"reward": NUMBER}; 1 or more counts as solved.

    Raises ChakuError for a URL that is not http(s), and when the verifier does not answer ATTEMPTS times.
    """

    def __init__(self, url: str, timeout: float):
        http_parts(url, "the `path` of the verifier", "http://localhost:9000/verify")
        self._url, self._timeout = url, timeout
        self._threads = ThreadPoolExecutor(NUM_THREADS, "verifier")

    def problem(self, task: Task) -> str:
        return ""

    def submit(self, task: Task, text: str) -> Waiting:
        return self._threads.submit(self._ask, as_plain(task, text)).result

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ask(self, body: dict[str, Any]) -> Judged:
        answer = post_json(
            self._url,
            body,
            advice="run the same command to go on",
            with_key=False,  # the key of the models' server is not the verifier's to see
            timeout=self._timeout,
            attempts=ATTEMPTS,
        )
        try:
            return _counted(float(json.loads(answer)["reward"]), self._url)
        except (ValueError, LookupError, TypeError):
            raise ChakuError(f'{self._url} must answer {{"reward": NUMBER}}, not {answer[:200]!r}') from None


def _counted(value: float, what: str) -> Judged:
    if not math.isfinite(value):
        return Judged(0.0, False, f"{what} gave {value}")
    return Judged(value, value >= 1, "" if value >= 1 else f"{what} gave {value:g}")


def as_plain(task: Task, text: str) -> dict[str, Any]:
    """A sample and its row as JSON values, as functions and verifiers get them."""
    given = {"text": text, "prompt": task.text, "row": dict(task.fields)}
    return dict(json.loads(json.dumps(given, default=str)))
