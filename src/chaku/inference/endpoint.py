"""Completions from a server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, chaku's own."""

import json
import os
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chaku.console import say
from chaku.errors import ChakuError
from chaku.inference.generator import AnyPrompt, ChatPrompt, Completion, InfillPrompt, Request, TextPrompt, TokenPrompt

REQUESTS_AT_ONCE = 16  # the server batches them
MAX_STOPS = 4  # OpenAI's API takes no more stop strings; the texts are cut here at all of them
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between attempts; doubled each time
TIMEOUT = 600.0  # seconds of one request: a loaded server queues
AWAY_SECONDS = 5.0  # with `patience`: how long to wait for a server that refuses connections or has no address
TRY_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Endpoint:
    """A server that writes completions; implements `Generator`.

    `url`: with or without `/v1`. `model`: the model's name on the server. The API key is $OPENAI_API_KEY. `chat`: send
    a text to complete as a user's message to the chat API, for servers without a completions API. `patience`: seconds
    that one answer may take, all attempts included, when a person waits for it; an absent server then gets
    AWAY_SECONDS.
    """

    url: str
    model: str
    chat: bool = False
    patience: float | None = None

    num_rows: ClassVar[int] = 1
    num_threads: ClassVar[int] = REQUESTS_AT_ONCE
    tokenizer: ClassVar[None] = None
    context: ClassVar[None] = None

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"model": self.model, "endpoint": self.address}

    @property
    def record(self) -> Mapping[str, Any]:
        return self.identity

    def check(self, request: Request) -> None:
        prompt, why = request.prompt, ""
        if isinstance(prompt, TokenPrompt):
            why = "an endpoint takes text, not tokens; give a model's directory"
        elif request.params.healing or (isinstance(prompt, TextPrompt) and prompt.max_tokens is not None):
            why = (
                "an endpoint takes text, so tokens can be neither healed nor counted; give a model's directory, or "
                "choose a benchmark without healing and without a limit on the prompt's tokens"
            )
        elif isinstance(prompt, InfillPrompt) and prompt.file is not None:
            why = "an endpoint cannot read a repository; leave the repository out, or give a model's directory"
        elif isinstance(prompt, ChatPrompt) and not self.chat:
            why = "a conversation needs the endpoint's chat API; give --chat (in Python: chat=True)"
        elif isinstance(prompt, ChatPrompt) and prompt.opening:
            why = "an endpoint cannot go on from the beginning of a reply; give a model's directory"
        elif request.adapter is not None:
            why = "an endpoint chooses an adapter by the model's name; give that name as the model"
        elif request.grammar is not None:
            why = "an endpoint cannot decode under a grammar; leave the grammar out, or give a model's directory"
        if why:
            raise ChakuError(why)

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """Send the requests one after the other; returns their completions. The seed is `params.seed + sample`.

        Waits and sends a request again, up to ATTEMPTS times, while the server is busy or away. Raises ChakuError, with
        the server's own words, when the server refuses or stays away.
        """
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Completion:
        self.check(request)
        body = self._body(request)
        wait, started = FIRST_WAIT, time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            ends = started + (self.patience or ATTEMPTS * TIMEOUT)
            try:
                seconds = min(TIMEOUT, max(ends - time.monotonic(), 0.1))
                return _completion(self._post(body, seconds), self.address, self.chat)
            except urllib.error.HTTPError as error:
                words = f"{error.code} {error.reason}: {error.read(500).decode('utf-8', 'replace').strip()}"
                asked_to_wait = error.headers.get("Retry-After", "")
                if error.code not in TRY_AGAIN:
                    raise ChakuError(f"{self.address} refuses: {words}{_hint(error.code)}") from None
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                reason = getattr(error, "reason", error)
                words, asked_to_wait = str(getattr(reason, "strerror", None) or reason), ""
                if self.patience and not isinstance(getattr(error, "reason", error), TimeoutError):
                    ends = min(ends, started + AWAY_SECONDS)
            if attempt == 1:
                say(f"{self.address}: {words}; asking again")
            if attempt < ATTEMPTS:
                seconds = float(asked_to_wait) if asked_to_wait.isdigit() else wait * (1 + random.random())
                seconds = min(seconds, LONGEST_WAIT)
                if time.monotonic() + seconds >= ends:
                    raise ChakuError(f"{self.address} did not answer in {time.monotonic() - started:.0f} s: {words}")
                time.sleep(seconds)
                wait = min(2 * wait, LONGEST_WAIT)
        raise ChakuError(
            f"{self.address} did not answer {ATTEMPTS} times ({words}); answers so far are kept: run the same command "
            "again to go on"
        )

    @property
    def address(self) -> str:
        """The full URL of the API. Raises ChakuError when `url` is not an http(s) URL."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ChakuError(f"--endpoint {self.url!r} is not a URL like http://localhost:8000/v1")
        path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/chat")
        verb = "chat/completions" if self.chat else "completions"
        return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}/{verb}"

    def _body(self, request: Request) -> dict[str, Any]:
        params, asked = request.params, prompt_fields(request.prompt)
        if self.chat and "prompt" in asked:
            asked["messages"] = [{"role": "user", "content": asked.pop("prompt")}]
        return {
            "model": self.model,
            **asked,
            "max_tokens": params.max_tokens,
            "temperature": 0.0 if params.is_greedy(request.sample) else params.temperature,
            "top_p": params.top_p,
            "n": 1,
            "seed": params.seed + request.sample,
            **params.unusual,
            **({"stop": list(params.stop[:MAX_STOPS])} if params.stop else {}),
        }

    def _post(self, request: dict[str, Any], seconds: float) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        message = urllib.request.Request(self.address, json.dumps(request).encode(), headers, method="POST")
        with urllib.request.urlopen(message, timeout=seconds) as response:
            return bytes(response.read())


def prompt_fields(prompt: AnyPrompt) -> dict[str, Any]:
    """The prompt as fields of a request of OpenAI's API."""
    match prompt:
        case TextPrompt(text):
            return {"prompt": text}
        case InfillPrompt(prefix, suffix):
            return {"prompt": prefix, "suffix": suffix}
        case TokenPrompt(ids):
            return {"prompt": list(ids)}
        case ChatPrompt(messages):
            return {"messages": [{"role": message.role, "content": message.content} for message in messages]}


def _completion(answer: bytes, address: str, chat: bool) -> Completion:
    """The completion in a server's answer. Without the server's token count, each word or sign counts as a token."""
    text = num_tokens = reason = None
    try:
        parsed = json.loads(answer)
        choice = parsed["choices"][0]
        text = choice["message"]["content"] if chat else choice["text"]
        reason = choice.get("finish_reason")
        num_tokens = parsed["usage"]["completion_tokens"]
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    if not isinstance(text, str):
        where = "choices[0].message.content" if chat else "choices[0].text"
        raise ChakuError(f"{address} answers without {where}: {answer[:200].decode('utf-8', 'replace')}")
    if not isinstance(num_tokens, int):
        num_tokens = len(re.findall(r"\w+|[^\w\s]", text))
    return Completion(text, num_tokens, "length" if reason == "length" else "stop")


def _hint(code: int) -> str:
    return {
        401: "; set OPENAI_API_KEY to a key that the server accepts",
        403: "; set OPENAI_API_KEY to a key that the server accepts",
        404: "; check the URL, and that MODEL is a name that the server serves",
    }.get(code, "")
