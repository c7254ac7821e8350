"""Samples replies with a vLLM server, which gets the trained LoRA adapter again after each update.

The server's probabilities differ a little from the trainer's (other kernels, other precision). Replies carry the
server's log-probabilities, and the trainer corrects the difference by truncated importance sampling.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaku.checkpoint.peft import save_adapter
from chaku.errors import ChakuError
from chaku.inference.post_json import Refusal, http_parts, post_json
from chaku.model.config import LoraConfig
from chaku.model.llama import Llama
from chaku.reinforcement.groups import Reply, Write
from chaku.reinforcement.tasks import Task

ADAPTER = "chaku-policy"  # the adapter's name on the server
NUM_THREADS = 32  # requests at one time: the server makes batches of them


class VllmWriter:
    """Implements `Writer`. `url`: of the server, such as http://localhost:8000. `directory`: both read it.

    Start the server with the stage's base model, `--enable-lora --max-lora-rank RANK --logprobs-mode
    processed_logprobs`, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. Raises ChakuError for a URL that is not http(s), and
    when the server refuses a request or does not answer.
    """

    measures = True

    def __init__(self, url: str, model: Llama, lora: LoraConfig, directory: Path, base_model: str):
        http_parts(url, "grpo.endpoint", "http://localhost:8000")
        self._url = url.rstrip("/").removesuffix("/v1")
        self._model, self._lora, self._base = model, lora, base_model
        self._directory = directory / "policy"
        self._stale = True

    def weights_changed(self) -> None:
        self._stale = True

    def writing(self, *, num_samples: int, temperature: float, max_tokens: int, seed: int) -> Write:
        def ask(draw: int, task: Task) -> list[Reply]:
            answer = self._post(
                "/v1/completions",
                {
                    "model": ADAPTER,
                    "prompt": list(task.prompt.ids),
                    "n": num_samples,
                    "max_tokens": max_tokens,
                    "temperature": temperature,
                    "seed": seed + 1_000_003 * (draw + 1),
                    "stop_token_ids": sorted(task.prompt.stop_ids),
                    "logprobs": 0,
                    "return_token_ids": True,
                },
            )
            return [self._reply(choice) for choice in _choices(answer, num_samples, self._url)]

        def write(asked: Sequence[tuple[int, Task]]) -> Iterator[tuple[int, int, Reply]]:
            self._reload()
            with ThreadPoolExecutor(NUM_THREADS, "vllm") as threads:
                places = {threads.submit(ask, draw, task): place for place, (draw, task) in enumerate(asked)}
                for future in as_completed(places):
                    for number, reply in enumerate(future.result()):
                        yield places[future], number, reply

        return write

    def _reload(self) -> None:
        """Give the server the present weights, if they changed."""
        if not self._stale:
            return
        save_adapter(self._model, self._lora, self._directory, self._base)
        with suppress(Refusal):  # the first time, there is none
            self._post("/v1/unload_lora_adapter", {"lora_name": ADAPTER})
        self._post("/v1/load_lora_adapter", {"lora_name": ADAPTER, "lora_path": str(self._directory.resolve())})
        self._stale = False

    def _reply(self, choice: dict[str, Any]) -> Reply:
        try:
            ids = tuple(int(token) for token in choice["token_ids"])
            logs = tuple(float(value) for value in choice["logprobs"]["token_logprobs"])
            text, is_cut = str(choice["text"]), choice["finish_reason"] == "length"
        except (LookupError, TypeError, ValueError):
            ids, logs = (), (0.0,)
        if len(ids) != len(logs):
            raise ChakuError(
                f"{self._url} answers without token_ids and logprobs for each token; GRPO needs both: use vLLM "
                "0.10.2 or newer"
            )
        return Reply(text, ids, is_cut, sampler_logs=logs)

    def _post(self, path: str, body: dict[str, Any]) -> bytes:
        return post_json(
            f"{self._url}{path}", body, advice="run the same command to go on", hint=lambda status: _hint(path)
        )


def _choices(answer: bytes, number: int, url: str) -> list[dict[str, Any]]:
    try:
        choices = sorted(json.loads(answer)["choices"], key=lambda choice: choice["index"])
    except (ValueError, LookupError, TypeError):
        choices = []
    if len(choices) != number:
        raise ChakuError(f"{url} answers with {len(choices)} of {number} completions: {answer[:200]!r}")
    return list(choices)


def _hint(path: str) -> str:
    if "lora" in path:
        return "; start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
    return ""
