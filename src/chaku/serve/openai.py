"""OpenAI's API: /v1/completions with `suffix`, /v1/chat/completions, /v1/models."""

import codecs
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from chaku.inference.generator import ChatPrompt, Request, TextPrompt
from chaku.inference.scheduler import Piece
from chaku.serve import tabby
from chaku.serve.fields import MAX_TOKENS, Fields, Refusal, read_grammar, sampling, tokens_to_write
from chaku.serve.http import Contract, json_response, read_fields, server_sent, streamed, unless_gone
from chaku.serve.models import Served
from chaku.serve.prompts import read_prompts
from chaku.serve.service import Writing
from chaku.tokens.chat import Message, Role

MAX_CHOICES = 128
COMPLETION_TOKENS = 16  # what OpenAI's API writes when max_tokens is not given
CHAT_TOKENS = 4096
DONE = b"data: [DONE]\n\n"

Answer = tuple[list[Piece], Writing]


def contract(served: Served) -> Contract:
    """The routes."""

    def names() -> tuple[str, ...]:
        return (served.name, *served.adapters)

    async def models(request: HttpRequest) -> Response:
        return json_response({"object": "list", "data": [_model(served, name) for name in names()]})

    async def model(request: HttpRequest) -> Response:
        name = request.path_params["name"]
        if name not in names():
            raise Refusal(404, f"there is no model {name!r}; this server has {', '.join(names())}", "model")
        return json_response(_model(served, name))

    async def completions(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        if tabby.is_tabby(fields):
            return await tabby.complete(served, request, fields)
        return await answer(served, request, fields, _Completions(served, fields, await _grammar(served, fields)))

    async def chat(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        return await answer(served, request, fields, _Chat(served, fields, await _grammar(served, fields)))

    routes = [
        ("GET", "/v1/models", models),
        ("GET", "/v1/models/{name:path}", model),
        ("POST", "/v1/completions", completions),
        ("POST", "/v1/chat/completions", chat),
    ]
    return Contract(routes, error_body)


def error_body(refusal: Refusal) -> Any:
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
        refusal.status, "invalid_request_error" if refusal.status < 500 else "server_error"
    )
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.field, "code": None}}


def _model(served: Served, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(served.service.started), "owned_by": "chaku"}


async def _grammar(served: Served, fields: Fields) -> str | None:
    """The grammar of a text. `response_format` may also be {"type": "sql", "database": NAME}: one query, which fits."""
    form = fields.inner("response_format")
    if form.get("type") != "sql" or "grammar" in fields:
        return read_grammar(fields)
    if served.databases is None:
        raise fields.wrong("response_format", "of another type than sql: this server has no database (--db)")
    return await served.databases.find(form.text("database", "")).grammar()


class _Completions:
    """A request of /v1/completions, and the form of its answers."""

    kind, chunk, prefix = "text_completion", "text_completion", "cmpl"

    def __init__(self, served: Served, fields: Fields, grammar: str | None):
        best_of = fields.whole("best_of", 1, 1, MAX_CHOICES)
        num_choices = fields.whole("n", 1, 1, MAX_CHOICES)
        if best_of > num_choices:
            raise fields.wrong("best_of", "at most n: this server does not choose among samples")
        self._tokenizer = served.service.engine.tokenizer
        self.num_top = fields.whole("logprobs", None, 0, 20) if "logprobs" in fields else None
        params = sampling(
            fields, max_tokens=fields.whole("max_tokens", COMPLETION_TOKENS, 1, MAX_TOKENS), temperature=1.0
        )
        self.echo = fields.flag("echo")
        if self.echo and self.num_top is not None:
            raise fields.wrong("echo", "false where logprobs are wanted")
        self.prompts = read_prompts(fields, self._tokenizer)
        if len(self.prompts) * num_choices > MAX_CHOICES:
            raise fields.wrong("n", f"such that there are at most {MAX_CHOICES} choices in all")
        adapter = served.adapter(fields.text("model", ""))
        self.requests = [
            Request(
                prompt, replace(params, healing=grammar is None and served.healing(prompt)), sample, grammar, adapter
            )
            for prompt in self.prompts
            for sample in range(num_choices)
        ]
        self.echoed = [
            prompt.text if self.echo and isinstance(prompt, TextPrompt) else ""
            for prompt in self.prompts
            for _ in range(num_choices)
        ]
        self._offsets = [_Offset() for _ in self.requests]

    def choice(self, index: int, text: str, pieces: list[Piece], finish_reason: str | None) -> dict[str, Any]:
        return {
            "text": text,
            "index": index,
            "logprobs": None if self.num_top is None else self._log_probabilities(index, pieces),
            "finish_reason": finish_reason,
        }

    part = choice

    def first(self, index: int) -> dict[str, Any] | None:
        """What is streamed before the first text."""
        return self.choice(index, self.echoed[index], [], None) if self.echoed[index] else None

    def _log_probabilities(self, index: int, pieces: list[Piece]) -> dict[str, Any]:
        """Of the tokens that add text; of a token that also repeats the prompt's end, the text is what it adds."""
        found: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for token in (token for piece in pieces for token in piece.tokens):
            new = self._new_bytes(token.id, token.repeated)
            if token.repeated and not new:
                continue
            found["tokens"].append(self._text(new))
            found["token_logprobs"].append(token.log_probability)
            others = [(self._new_bytes(number, token.repeated), value) for number, value in token.top]
            found["top_logprobs"].append(
                {self._text(other): value for other, value in others if other or not token.repeated}
            )
            found["text_offset"].append(self._offsets[index].after(new))
        return found

    def _new_bytes(self, number: int, repeated: int) -> bytes:
        return self._tokenizer.decode_bytes([number])[repeated:]

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:  # a part of a character; OpenAI writes it so
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


class _Offset:
    """Where the next token of a text begins, in characters; it counts on from chunk to chunk of a stream."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._num = 0

    def after(self, token: bytes) -> int:
        """The beginning of `token`, which comes next; its characters count for the token after it."""
        begin = self._num
        self._num += len(self._decoder.decode(token))
        return begin


class ChatForm:
    """The form of a chat's answers; subclasses set `requests`."""

    kind, chunk, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"
    requests: list[Request]

    def __init__(self, served: Served):
        self._tokenizer = served.service.engine.tokenizer
        self.num_top: int | None = None

    def choice(self, index: int, text: str, pieces: list[Piece], finish_reason: str | None) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            "index": index,
            "message": message,
            "logprobs": self._log_probabilities(pieces),
            "finish_reason": finish_reason,
        }

    def part(self, index: int, text: str, pieces: list[Piece], finish_reason: str | None) -> dict[str, Any]:
        delta = {"content": text} if text or not finish_reason else {}
        return {
            "index": index,
            "delta": delta,
            "logprobs": self._log_probabilities(pieces),
            "finish_reason": finish_reason,
        }

    def first(self, index: int) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def _log_probabilities(self, pieces: list[Piece]) -> dict[str, Any] | None:
        if self.num_top is None:
            return None

        def entry(number: int, value: float) -> dict[str, Any]:
            data = self._tokenizer.decode_bytes([number])
            return {"token": data.decode("utf-8", "replace"), "logprob": value, "bytes": list(data)}

        content = [
            entry(token.id, token.log_probability) | {"top_logprobs": [entry(*pair) for pair in token.top]}
            for piece in pieces
            for token in piece.tokens
        ]
        return {"content": content, "refusal": None}


class _Chat(ChatForm):
    """A request of /v1/chat/completions."""

    def __init__(self, served: Served, fields: Fields, grammar: str | None):
        super().__init__(served)
        if fields.get("tools") or fields.get("functions"):
            raise fields.wrong("tools", "left out: this server does not call tools")
        if fields.flag("logprobs"):
            self.num_top = fields.whole("top_logprobs", 0, 0, 20)
        params = sampling(fields, max_tokens=self._max_tokens(fields), temperature=1.0)
        messages = [read_message(message) for message in fields.objects("messages")]
        if not messages:
            raise fields.wrong("messages", "a list with at least one message")
        num_choices = fields.whole("n", 1, 1, MAX_CHOICES)
        prompt = chat_prompt(messages)
        adapter = served.adapter(fields.text("model", ""))
        self.requests = [Request(prompt, params, sample, grammar, adapter) for sample in range(num_choices)]

    def _max_tokens(self, fields: Fields) -> int:
        for name in ("max_completion_tokens", "max_tokens"):
            if name in fields:
                return fields.whole(name, None, 1, MAX_TOKENS)
        return tokens_to_write(fields, "n_predict", CHAT_TOKENS)  # llama.vim's, which is 0 while the user types


def read_message(fields: Fields) -> Message:
    """A message of a conversation; its content is a string, or a list of parts of type text."""
    role, content = _role(fields), fields.get("content")
    if isinstance(content, list):
        parts = fields.objects("content")
        if any(part.text("type", "text") != "text" for part in parts):
            raise fields.wrong("content", "text: this model reads nothing else")
        return Message(role, "".join(part.text("text") for part in parts))
    return Message(role, fields.text("content", ""))


def chat_prompt(messages: list[Message]) -> ChatPrompt:
    """The prompt of a conversation. A last message of the assistant's is a reply to go on with."""
    if messages[-1].role == "assistant" and len(messages) > 1:
        return ChatPrompt(tuple(messages[:-1]), messages[-1].content)
    return ChatPrompt(tuple(messages))


def _role(fields: Fields) -> Role:
    match role := fields.text("role"):
        case "system" | "user" | "assistant" | "tool":
            return role
        case "developer":
            return "system"
    raise fields.wrong("role", "system, developer, user, assistant or tool")


async def answer(served: Served, request: HttpRequest, fields: Fields, asked: _Completions | ChatForm) -> Response:
    """The response to a request of this form."""
    head = {
        "id": f"{asked.prefix}-{uuid.uuid4().hex}",
        "object": asked.kind,
        "created": int(time.time()),
        "model": fields.text("model", "") or served.name,
    }
    if fields.flag("stream"):
        usage = fields.inner("stream_options").flag("include_usage")
        events = _stream(served, asked, head | {"object": asked.chunk}, usage)
        return await streamed(request, events, "text/event-stream", lambda refusal: server_sent(error_body(refusal)))
    answers: list[Answer] = await unless_gone(request, served.write_all(asked.requests, asked.num_top))
    choices = []
    for index, (pieces, _) in enumerate(answers):
        text = "".join(piece.text for piece in pieces)
        if isinstance(asked, _Completions):
            text = asked.echoed[index] + text
        choices.append(asked.choice(index, text, pieces, pieces[-1].finish_reason))
    return json_response(head | {"choices": choices, "usage": _usage(answers)})


async def _stream(
    served: Served, asked: _Completions | ChatForm, head: dict[str, Any], usage: bool
) -> AsyncIterator[bytes]:
    more: dict[str, Any] = {"usage": None} if usage else {}
    answers: dict[int, Answer] = {}
    async with aclosing(served.write_together(asked.requests, asked.num_top)) as pieces:
        async for index, piece, writing in pieces:
            if index not in answers:
                answers[index] = ([], writing)
                if first := asked.first(index):
                    yield server_sent(head | {"choices": [first]} | more)
            answers[index][0].append(piece)
            if piece.text or piece.tokens or piece.finish_reason:
                part = asked.part(index, piece.text, [piece], piece.finish_reason)
                yield server_sent(head | {"choices": [part]} | more)
    if usage:
        yield server_sent(head | {"choices": [], "usage": _usage(list(answers.values()))})
    yield DONE


def _usage(answers: list[Answer]) -> dict[str, Any]:
    """The tokens; samples of one prompt count its tokens once, as OpenAI does."""
    jobs = [writing.job for _, writing in answers]
    prompts = {tuple(job.row.prompt): job for job in jobs}
    num_prompt = sum(job.num_prompt for job in prompts.values())
    num_written = sum(piece.num_tokens for pieces, _ in answers for piece in pieces)
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": num_written,
        "total_tokens": num_prompt + num_written,
        "prompt_tokens_details": {"cached_tokens": sum(job.num_prompt_cached for job in prompts.values())},
    }
