"""A big server behind the same contracts: chaku makes the token ids of the prompt, and the other server the text.

Servers such as vLLM refuse `suffix`; with the ids of an infilling prompt they write the middle all the same.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx

from chaku.console import warn
from chaku.errors import ChakuError
from chaku.inference.generator import UNUSUAL, Request, SamplingParams
from chaku.inference.prompts import Prompt
from chaku.inference.reader import PromptReader
from chaku.inference.scheduler import Piece
from chaku.serve.service import Shared, TextService

Kind = Literal["vllm", "sglang", "llama.cpp", "ollama"]
CONNECT_SECONDS, READ_SECONDS = 5.0, 300.0


class Upstream(TextService):
    """Writes texts by asking another server. `model`: the model's name there. See `TextService`."""

    heals = constrains = False  # the other server cannot be told which tokens may come next

    def __init__(
        self, reader: PromptReader, url: str, kind: Kind, model: str, *, max_waiting: int = 1024, key: str | None = None
    ):
        super().__init__(reader, max_rows=0, max_waiting=max_waiting)
        self.url, self.kind, self.model = _base(url), kind, model
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(headers=_headers(key), timeout=timeout, limits=limits, trust_env=False)
        self._tasks: dict[Shared, asyncio.Task[None]] = {}

    @property
    def num_running(self) -> int:
        return len(self._tasks)

    @property
    def cache_use(self) -> tuple[int, int]:
        return 0, 0

    def begin(self, shared: Shared, prompt: Prompt, request: Request) -> None:
        if shared.job.num_top is not None:
            raise ChakuError("log-probabilities are not passed on from another server; ask without them")
        if request.grammar is not None:
            raise ChakuError("a grammar is not passed on to another server; ask without it")
        path, body = self._body(prompt, request)
        self._tasks[shared] = asyncio.create_task(self._write(shared, path, body))

    def cancel(self, shared: Shared) -> None:
        super().cancel(shared)
        if task := self._tasks.pop(shared, None):
            task.cancel()

    async def end(self) -> None:
        await self._client.aclose()

    async def _write(self, shared: Shared, path: str, body: dict[str, Any]) -> None:
        """Send the request, and hand the answer's pieces on."""
        try:
            last: Piece | None = None
            job, num_told = shared.job, 0
            async for part in self._parts(path, body):
                job.read = job.read or time.monotonic()
                job.num_prompt_cached = part.num_cached or job.num_prompt_cached
                job.row.stop_text = part.stop_text or job.row.stop_text
                # Until the server tells how many tokens it has written, each of its events counts as a token.
                num_written = max(part.num_written or len(job.row.ids) + bool(part.text), num_told)
                job.row.ids = [-1] * num_written  # their ids are not known
                if last is None and part.finish_reason is None:
                    shared.hear(Piece(part.text, num_written - num_told))
                    num_told = num_written
                else:  # the counts come after the last text, and a connection that is read to its end is used again
                    last = last or Piece(part.text, 0, (), part.finish_reason)
            if last:
                shared.hear(replace(last, num_tokens=len(job.row.ids) - num_told))
            else:
                shared.fail(f"{self.url} ended its answer in the middle")
        except httpx.HTTPError as error:
            warn(f"{self.url} failed: {type(error).__name__} {error}")
            shared.fail(f"the server behind this one does not answer ({type(error).__name__})")
        except ChakuError as error:
            shared.fail(str(error))
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            shared.fail(f"{self.url} answers what this server cannot read ({type(error).__name__})")
        finally:
            self._tasks.pop(shared, None)

    async def _parts(self, path: str, body: dict[str, Any]) -> AsyncIterator["_Part"]:
        async with self._client.stream("POST", self.url + path, json=body) as response:
            if response.status_code != 200:
                words = (await response.aread())[:300].decode("utf-8", "replace")
                raise ChakuError(f"{self.url}{path} answers {response.status_code}: {words}")
            async for line in response.aiter_lines():
                text = line.removeprefix("data:").strip()
                if not text.startswith("{"):
                    continue
                event = json.loads(text)
                if error := event.get("error"):
                    raise ChakuError(f"{self.url}{path}: {error}")
                yield _read_ollama(event) if self.kind == "ollama" else _read(event)

    def _body(self, prompt: Prompt, request: Request) -> tuple[str, dict[str, Any]]:
        """The path and the body for the other server."""
        params = request.params
        common = {
            "temperature": 0.0 if params.is_greedy(request.sample) else params.temperature,
            "top_p": params.top_p,
            "seed": params.seed + request.sample,
            "stop": list(params.stop),
        }
        if self.kind == "ollama":
            options = {**common, **_choosing(params), "num_predict": params.max_tokens}
            text = self._as_text(prompt)
            return "/api/generate", {
                "model": self.model,
                "prompt": text,
                "raw": True,
                "stream": True,
                "options": options,
            }
        if self.kind == "llama.cpp":
            more = {"n_predict": params.max_tokens, "cache_prompt": True, "stream": True}
            return "/completion", {"prompt": list(prompt.ids), **common, **_choosing(params), **more}
        if params.repeat_penalty != 1:
            raise ChakuError(f"{self.kind} has no repeat_penalty over the last tokens; ask without it")
        wanted: dict[str, Any] = {
            "max_tokens": params.max_tokens,
            "stop_token_ids": sorted(prompt.stop_ids.union(params.stop_ids)),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return "/v1/completions", {
            "model": request.adapter or self.model,
            "prompt": list(prompt.ids),
            **common,
            **params.unusual,
            **wanted,
        }

    def _as_text(self, prompt: Prompt) -> str:
        """The prompt for a server that reads text alone, in which it finds special tokens by their names.

        Raises ChakuError when the text itself spells one of these names.
        """
        tokenizer = self.engine.tokenizer
        parts: list[str] = []
        text: list[int] = []
        names = [tokenizer.pieces[number] for number in tokenizer.special_ids]

        def spell() -> None:
            spelt = tokenizer.decode(text) if not parts else tokenizer.decode_infilling(text)
            if found := next((name for name in names if name and name in spelt), None):
                raise ChakuError(f"the text has {found}, which this server would read as a special token")
            parts.append(spelt)
            text.clear()

        for number in prompt.ids[len(tokenizer.begin) :]:
            if number in tokenizer.special_ids:
                spell()
                parts.append(tokenizer.pieces[number])
            else:
                text.append(number)
        spell()
        return "".join(parts)


@dataclass(frozen=True)
class _Part:
    """A part of another server's answer, with what that server tells.

    `num_written`: the tokens that it has written up to here. `num_cached`: those of the prompt that it found in its
    cache. `stop_text`: the stop string that ended the text.
    """

    text: str
    finish_reason: str | None
    num_written: int | None = None
    num_cached: int = 0
    stop_text: str = ""


def _read(event: dict[str, Any]) -> _Part:
    """An event of /v1/completions, or of llama.cpp's /completion."""
    if "content" in event:
        reason = None
        if event.get("stop"):
            reason = "length" if event.get("stop_type") == "limit" else "stop"
        cached = (event.get("timings") or {}).get("cache_n", 0)
        return _Part(event["content"], reason, event.get("tokens_predicted"), cached, event.get("stopping_word") or "")
    choice, usage = (event.get("choices") or [{}])[0], event.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    stop = choice.get("stop_reason", choice.get("matched_stop"))  # vLLM's and SGLang's: a string, or a token's id
    return _Part(
        choice.get("text") or "",
        choice.get("finish_reason"),
        usage.get("completion_tokens"),
        details.get("cached_tokens") or 0,
        stop if isinstance(stop, str) else "",
    )


def _read_ollama(event: dict[str, Any]) -> _Part:
    reason = None
    if event.get("done"):
        reason = "length" if event.get("done_reason") == "length" else "stop"
    return _Part(event.get("response") or "", reason, event.get("eval_count"))


def _choosing(params: SamplingParams) -> dict[str, float]:
    """How tokens are chosen, for servers whose own defaults are not chaku's."""
    return {name: getattr(params, name) for name in UNUSUAL}


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _headers(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


async def first_model(url: str, key: str | None = None) -> str:
    """The first model that a server lists. Raises ChakuError when it does not answer."""
    try:
        async with httpx.AsyncClient(timeout=CONNECT_SECONDS, headers=_headers(key), trust_env=False) as client:
            listed = (await client.get(f"{_base(url)}/v1/models")).raise_for_status().json()["data"]
            return str(listed[0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise ChakuError(
            f"--upstream {url} does not list its models ({error}); start it, or check the address"
        ) from None
