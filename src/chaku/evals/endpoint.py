"""Completions from a server that speaks OpenAI's completions API: vLLM, SGLang, llama.cpp, chaku's own."""

import json
import os
import random
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
TRY_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Endpoint:
    """`url` with or without `/v1`; `model` is the name that the server knows it by. The key is $OPENAI_API_KEY."""

    url: str
    model: str

    def complete(
        self,
        prompt: str,
        suffix: str | None,
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
        stop: tuple[str, ...],
        seed: int,
    ) -> str:
        """One completion's text. Waits and asks again where the server is busy or away; see ATTEMPTS.

        Raises ChakuError, with the server's own words, when it refuses or stays away.
        """
        request: dict[str, Any] = {
            "model": self.model,
            "prompt": prompt,
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
        wait = FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _text_of(self._post(request), self.address)
            except urllib.error.HTTPError as error:
                words = f"{error.code} {error.reason}: {error.read(500).decode('utf-8', 'replace').strip()}"
                asked_to_wait = error.headers.get("Retry-After", "")
                if error.code not in TRY_AGAIN:
                    raise ChakuError(f"{self.address} refuses: {words}{_hint(error.code)}") from None
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                words, asked_to_wait = str(getattr(error, "reason", error)), ""
            if attempt == 1:
                say(f"{self.address}: {words}; asking again")
            if attempt < ATTEMPTS:
                seconds = float(asked_to_wait) if asked_to_wait.isdigit() else wait * (1 + random.random())
                time.sleep(min(seconds, LONGEST_WAIT))
                wait = min(2 * wait, LONGEST_WAIT)
        raise ChakuError(
            f"{self.address} did not answer {ATTEMPTS} times ({words}); what came is kept: the same command goes on"
        )

    @property
    def address(self) -> str:
        """The whole address of the completions API. Raises ChakuError for what is no http(s) URL."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ChakuError(f"--endpoint {self.url!r} is not a URL like http://localhost:8000/v1")
        path = parts.path.rstrip("/").removesuffix("/completions")
        return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/v1') else path + '/v1'}/completions"

    def _post(self, request: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        message = urllib.request.Request(self.address, json.dumps(request).encode(), headers, method="POST")
        with urllib.request.urlopen(message, timeout=TIMEOUT) as response:
            return bytes(response.read())


def _text_of(answer: bytes, address: str) -> str:
    try:
        text = json.loads(answer)["choices"][0]["text"]
    except (ValueError, LookupError, TypeError):
        text = None
    if not isinstance(text, str):
        raise ChakuError(f"{address} answers without choices[0].text: {answer[:200].decode('utf-8', 'replace')}")
    return text


def _hint(code: int) -> str:
    return {
        401: "; set OPENAI_API_KEY to a key that it takes",
        403: "; set OPENAI_API_KEY to a key that it takes",
        404: "; is the URL right, and MODEL a name that it serves?",
    }.get(code, "")
