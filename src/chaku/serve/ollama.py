"""Ollama's API: /api/generate with `suffix` and `raw`, /api/chat, /api/show, /api/tags, /api/ps, /api/version."""

import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from chaku.inference.constraints import json_grammar
from chaku.inference.engine import Engine
from chaku.inference.generator import AnyPrompt, ChatPrompt, InfillPrompt, Request, TextPrompt
from chaku.inference.scheduler import Job
from chaku.serve.fields import Fields, Refusal, sampling, schema_grammar, tokens_to_write
from chaku.serve.http import Contract, dumps, json_response, read_fields, streamed, unless_gone
from chaku.serve.models import Served
from chaku.serve.openai import chat_prompt, read_message
from chaku.serve.prompts import hole, raw
from chaku.tokens.chat import Message

VERSION = "0.12.0"  # of Ollama, whose API this is; clients ask for a least one
Form = Callable[[str], dict[str, Any]]


def contract(served: Served) -> Contract:
    """The routes."""

    async def generate(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        return await _answer(served, request, fields, _generate_prompt(served, fields), _response)

    async def chat(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        if fields.get("tools"):
            raise fields.wrong("tools", "left out: this server does not call tools")
        messages = []
        for message in fields.objects("messages"):
            if message.get("images"):
                raise message.wrong("images", "left out: this model reads only text")
            messages.append(read_message(message))
        prompt = chat_prompt(messages) if messages else None
        return await _answer(served, request, fields, prompt, _message)

    async def show(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        fields.text("model" if "model" in fields else "name")  # any name means this model, but there must be a name
        return json_response(_about(served))

    async def tags(request: HttpRequest) -> Response:
        return json_response({"models": [_entry(served, name) for name in (served.name, *served.adapters)]})

    async def running(request: HttpRequest) -> Response:
        about = {
            "expires_at": "2318-01-01T00:00:00Z",  # what Ollama says of a model that it keeps for ever
            "size_vram": 0,
            "context_length": served.service.engine.context,
        }
        return json_response({"models": [_entry(served, served.name) | about]})

    async def version(request: HttpRequest) -> Response:
        return json_response({"version": VERSION})

    routes = [
        ("POST", "/api/generate", generate),
        ("POST", "/api/chat", chat),
        ("POST", "/api/show", show),
        ("GET", "/api/tags", tags),
        ("GET", "/api/ps", running),
        ("GET", "/api/version", version),
    ]
    return Contract(routes, error_body)


def error_body(refusal: Refusal) -> Any:
    return {"error": refusal.message}


def _generate_prompt(served: Served, fields: Fields) -> AnyPrompt | None:
    """The prompt of /api/generate; None where the client only wants the model to be loaded.

    `raw`: as it is; `suffix`: a hole; else a message to the model, or a text where the model has no chat template.
    """
    for name in ("images", "template", "context"):
        if fields.get(name):
            raise fields.wrong(name, "left out: this server does not read it")
    engine, tokenizer = served.service.engine, served.service.engine.tokenizer
    text, suffix = fields.text("prompt", ""), fields.text("suffix", "")
    if fields.flag("raw"):
        return raw(tokenizer, text)
    if suffix:
        return hole(tokenizer, text, suffix)
    if not text:
        return None
    if not engine.chats:
        return TextPrompt(text)
    system = [Message("system", fields.text("system"))] if fields.get("system") else []
    return ChatPrompt((*system, Message("user", text)))


def _response(text: str) -> dict[str, Any]:
    """The form of the texts of /api/generate."""
    return {"response": text}


def _message(text: str) -> dict[str, Any]:
    """The form of the texts of /api/chat."""
    return {"message": {"role": "assistant", "content": text}}


async def _answer(
    served: Served,
    request: HttpRequest,
    fields: Fields,
    prompt: AnyPrompt | None,
    form: Form,
) -> Response:
    name = fields.text("model")
    if fields.get("think") not in (None, False):
        raise fields.wrong("think", "false: this model does not think apart from its answer")
    streams = fields.flag("stream", True)
    if prompt is None:
        reason = "unload" if fields.get("keep_alive") in (0, "0") else "load"
        done = _head(name) | form("") | {"done": True, "done_reason": reason}
        return Response(dumps(done) + b"\n", media_type="application/x-ndjson") if streams else json_response(done)
    events = _parts(served, name, _request(served, fields, prompt), form)
    if streams:

        async def lines() -> AsyncIterator[bytes]:
            async with aclosing(events):
                async for event in events:
                    yield dumps(event) + b"\n"

        return await streamed(
            request, lines(), "application/x-ndjson", lambda refusal: dumps(error_body(refusal)) + b"\n"
        )

    async def whole() -> dict[str, Any]:
        found = [event async for event in events]
        text = "".join(event.get("response", event.get("message", {}).get("content", "")) for event in found)
        return found[-1] | form(text)

    return json_response(await unless_gone(request, whole()))


def _request(served: Served, fields: Fields, prompt: AnyPrompt) -> Request:
    options = fields.inner("options")
    grammar = _grammar(fields)
    temperature = 0.0 if isinstance(prompt, InfillPrompt) else 0.8
    max_tokens = tokens_to_write(options, "num_predict", -1)
    params = sampling(options, max_tokens=max_tokens, temperature=temperature, top_p=0.9, top_k=40)
    params = replace(params, healing=not grammar and served.healing(prompt))
    return Request(prompt, params, grammar=grammar, adapter=served.adapter(fields.text("model")))


def _grammar(fields: Fields) -> str | None:
    """`format`: "json", or a JSON schema."""
    if not fields.get("format"):
        return None
    if fields.get("format") == "json":
        return json_grammar({"type": "object"})
    return schema_grammar(fields.inner("format").body)


async def _parts(served: Served, name: str, request: Request, form: Form) -> AsyncGenerator[dict[str, Any], None]:
    """The objects of a stream; the last one has the counts and durations."""
    begun, num_tokens = time.monotonic(), 0
    async with aclosing(served.write_together([request])) as pieces:
        async for _, piece, writing in pieces:
            num_tokens += piece.num_tokens
            if piece.text:
                yield _head(name) | form(piece.text) | {"done": False}
            if piece.finish_reason:
                done = {"done": True, "done_reason": piece.finish_reason} | _counts(writing.job, begun, num_tokens)
                yield _head(name) | form("") | done


def _head(name: str) -> dict[str, Any]:
    return {"model": name, "created_at": _time(time.time())}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _counts(job: Job, begun: float, num_tokens: int) -> dict[str, Any]:
    """Durations are in nanoseconds."""
    ended = time.monotonic()
    read = min(max(job.read, begun), ended)
    return {
        "total_duration": int((ended - begun) * 1e9),
        "load_duration": 0,
        "prompt_eval_count": job.num_prompt,
        "prompt_eval_duration": int((read - begun) * 1e9),
        "eval_count": num_tokens,
        "eval_duration": int((ended - read) * 1e9),
    }


def _details(served: Served) -> dict[str, Any]:
    engine = served.service.engine
    family = engine.config.model_type
    return {
        "parent_model": "",
        "format": "",
        "family": family,
        "families": [family],
        "parameter_size": _in_words(engine.config.num_parameters),
        "quantization_level": engine.decoder.precision if isinstance(engine, Engine) else "",
    }


def _in_words(number: int) -> str:
    return f"{number / 1e9:.1f}B" if number >= 1e9 else f"{number / 1e6:.2f}M"


def _entry(served: Served, name: str) -> dict[str, Any]:
    """A model in a list. `digest` tells models apart; it is not a hash of the weights, which takes long."""
    engine = served.service.engine
    return {
        "name": name,
        "model": name,
        "modified_at": _time(served.service.started),
        "size": engine.decoder.weights_bytes() if isinstance(engine, Engine) else 0,
        "digest": hashlib.sha256(f"{name} {engine.tokenizer.sha256}".encode()).hexdigest(),
        "details": _details(served),
    }


def _about(served: Served) -> dict[str, Any]:
    """What /api/show says: `insert` is among the capabilities where the model infills."""
    engine = served.service.engine
    family = engine.config.model_type
    capabilities = ["completion"] + (["insert"] if engine.tokenizer.infilling else [])
    return {
        "license": "",
        "modelfile": "",
        "parameters": f"num_ctx {engine.context}",
        "template": engine.tokenizer.config.get("chat_template") or "{{ .Prompt }}",
        "details": _details(served),
        "model_info": {
            "general.architecture": family,
            "general.basename": served.name,
            "general.parameter_count": engine.config.num_parameters,
            f"{family}.context_length": engine.context,
        },
        "capabilities": capabilities,
        "modified_at": _time(served.service.started),
    }
