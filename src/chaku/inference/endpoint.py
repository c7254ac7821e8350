"""Completions from a server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, chaku's own."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from chaku.errors import ChakuError
from chaku.inference.generator import AnyPrompt, ChatPrompt, Completion, InfillPrompt, Request, TextPrompt, TokenPrompt
from chaku.inference.post_json import http_parts, post_json

REQUESTS_AT_ONCE = 16  # the server batches them
MAX_STOPS = 4  # OpenAI's API takes no more stop strings; the texts are cut here at all of them


@dataclass(frozen=True)
class Endpoint:
    """A server that writes completions; implements `Generator`.

    `url`: with or without `/v1`. `model`: the model's name on the server. The API key is $OPENAI_API_KEY. `chat`: send
    a text to complete as a user's message to the chat API, for servers without a completions API. `patience`: see
    `post_json`.
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

        Raises ChakuError as `post_json` does, and for an answer without a text.
        """
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Completion:
        self.check(request)
        answer = post_json(
            self.address,
            self._body(request),
            advice="answers so far are kept: run the same command again to go on",
            hint=_hint,
            patience=self.patience,
        )
        return _completion(answer, self.address, self.chat)

    @property
    def address(self) -> str:
        """The full URL of the API. Raises ChakuError when `url` is not an http(s) URL."""
        parts = http_parts(self.url, "--endpoint", "http://localhost:8000/v1")
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
