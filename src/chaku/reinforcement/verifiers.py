"""Rewards of one's own: a Python function, which runs in the sandbox, or a program behind HTTP."""

import ast
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import read_text
from chaku.reinforcement.reward import Judged, Waiting
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
ATTEMPTS = 3
FIRST_WAIT = 1.0  # seconds before the second attempt; doubles


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
        future = self._pool.submit(Job(self._source + CALL, stdin=as_json(task, text)))
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
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ChakuError(f"the verifier {url!r} is not a URL like http://localhost:9000/verify; correct its `path`")
        self._url, self._timeout = url, timeout
        self._threads = ThreadPoolExecutor(NUM_THREADS, "verifier")

    def problem(self, task: Task) -> str:
        return ""

    def submit(self, task: Task, text: str) -> Waiting:
        return self._threads.submit(self._ask, as_json(task, text)).result

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ask(self, body: str) -> Judged:
        words, wait = "", FIRST_WAIT
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(wait)
                wait *= 2
            message = urllib.request.Request(
                self._url, body.encode(), {"Content-Type": "application/json"}, method="POST"
            )
            try:
                with urllib.request.urlopen(message, timeout=self._timeout) as response:
                    answer = response.read()
            except OSError as error:  # with urllib's errors
                words = str(getattr(error, "reason", error))
                continue
            try:
                return _counted(float(json.loads(answer)["reward"]), self._url)
            except (ValueError, LookupError, TypeError):
                raise ChakuError(f'{self._url} must answer {{"reward": NUMBER}}, not {answer[:200]!r}') from None
        raise ChakuError(f"the verifier {self._url} did not answer {ATTEMPTS} times ({words}); run again to go on")


def _counted(value: float, what: str) -> Judged:
    if not math.isfinite(value):
        return Judged(0.0, False, f"{what} gave {value}")
    return Judged(value, value >= 1, "" if value >= 1 else f"{what} gave {value:g}")


def as_json(task: Task, text: str) -> str:
    """A sample and its row, as functions and verifiers get them."""
    return json.dumps({"text": text, "prompt": task.text, "row": dict(task.fields)}, ensure_ascii=False, default=str)
