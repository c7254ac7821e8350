"""Completions from a server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, chaku's own."""

import json
import os
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError

MAX_STOPS = 4  # that OpenAI's API takes; texts are cut at all of them here
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between attempts; doubled each time
TIMEOUT = 600.0  # seconds of one request: a loaded server queues
AWAY_SECONDS = 5.0  # that somebody waits for a server that refuses connections, or that nobody knows
TRY_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Endpoint:
    """`url` with or without `/v1`; `model` is the name that the server knows it by. The key is $OPENAI_API_KEY.

    `chat`: the prompt is sent as a user's message to the chat API, for servers that have no other. `patience`: seconds
    of one answer, all attempts included, where somebody waits for it; a server that is not there has AWAY_SECONDS.
    """

    url: str
    model: str
    chat: bool = False
    patience: float | None = None

    def complete(self, prompt: str, suffix: str | None, **sampling: Any) -> str:
        """One completion's text; see `answer`."""
        return self.answer(prompt, suffix, **sampling)[0]

    def answer(
        self,
        prompt: str,
        suffix: str | None,
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
        stop: tuple[str, ...],
        seed: int,
    ) -> tuple[str, int]:
        """One completion's text, and its tokens as the server counts them (where it does not: a token a word or sign).

        Waits and asks again where the server is busy or away; see ATTEMPTS.

        Raises ChakuError, with the server's own words, when it refuses or stays away.
        """
        request: dict[str, Any] = {
            "model": self.model,
            **({"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "n": 1,
            "seed": seed,
        }
        if stop:
            request["stop"] = list(stop[:MAX_STOPS])
        if suffix is not None:
            request["suffix"] = suffix
        wait, started = FIRST_WAIT, time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            ends = started + (self.patience or ATTEMPTS * TIMEOUT)
            try:
                seconds = min(TIMEOUT, max(ends - time.monotonic(), 0.1))
                return _text_of(self._post(request, seconds), self.address, self.chat)
            except urllib.error.HTTPError as error:
                words = f"{error.code} {error.reason}: {error.read(500).decode('utf-8', 'replace').strip()}"
                asked_to_wait = error.headers.get("Retry-After", "")
                if error.code not in TRY_AGAIN:
                    raise ChakuError(f"{self.address} refuses: {words}{_hint(error.code)}") from None
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                words, asked_to_wait = str(getattr(error, "reason", error)), ""
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
            f"{self.address} did not answer {ATTEMPTS} times ({words}); what came is kept: the same command goes on"
        )

    @property
    def address(self) -> str:
        """The whole address of the API that is asked. Raises ChakuError for what is no http(s) URL."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ChakuError(f"--endpoint {self.url!r} is not a URL like http://localhost:8000/v1")
        path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/chat")
        verb = "chat/completions" if self.chat else "completions"
        return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}/{verb}"

    def _post(self, request: dict[str, Any], seconds: float) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        message = urllib.request.Request(self.address, json.dumps(request).encode(), headers, method="POST")
        with urllib.request.urlopen(message, timeout=seconds) as response:
            return bytes(response.read())


def _text_of(answer: bytes, address: str, chat: bool) -> tuple[str, int]:
    text = None
    num_tokens: Any = None
    try:
        parsed = json.loads(answer)
        text = parsed["choices"][0]["message"]["content"] if chat else parsed["choices"][0]["text"]
        num_tokens = parsed["usage"]["completion_tokens"]
    except (ValueError, LookupError, TypeError):
        pass
    if not isinstance(text, str):
        where = "choices[0].message.content" if chat else "choices[0].text"
        raise ChakuError(f"{address} answers without {where}: {answer[:200].decode('utf-8', 'replace')}")
    return text, num_tokens if isinstance(num_tokens, int) else len(re.findall(r"\w+|[^\w\s]", text))


def _hint(code: int) -> str:
    return {
        401: "; set OPENAI_API_KEY to a key that it takes",
        403: "; set OPENAI_API_KEY to a key that it takes",
        404: "; is the URL right, and MODEL a name that it serves?",
    }.get(code, "")
