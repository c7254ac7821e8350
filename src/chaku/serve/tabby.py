"""Tabby's API: completions with segments, which share a path with OpenAI's; the server's state, settings and events."""

import os
import platform
import uuid
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from chaku import __version__
from chaku.inference.engine import Engine
from chaku.inference.generator import AnyPrompt, Request
from chaku.serve.fields import Fields, Refusal, sampling
from chaku.serve.http import Contract, json_response, read_fields, unless_gone
from chaku.serve.models import Served
from chaku.serve.prompts import hole, raw

MAX_TOKENS = 64  # as Tabby's server


def contract(served: Served) -> Contract:
    """The routes, but for /v1/completions: OpenAI's contract hands Tabby's requests on."""

    async def health(request: HttpRequest) -> Response:
        engine = served.service.engine
        version = {"build_date": "", "build_timestamp": "", "git_sha": "", "git_describe": f"chaku {__version__}"}
        return json_response(
            {
                "status": "ok",  # what llama.cpp says at this path
                "model": served.name,
                "chat_model": served.name if engine.chats else None,
                "device": engine.decoder.device.type if isinstance(engine, Engine) else "remote",
                "arch": platform.machine(),
                "cpu_info": platform.processor() or platform.machine(),
                "cpu_count": os.cpu_count() or 1,
                "cuda_devices": [],
                "version": version,
            }
        )

    async def setting(request: HttpRequest) -> Response:
        return json_response({"disable_client_side_telemetry": True})

    async def events(request: HttpRequest) -> Response:
        await read_fields(request)  # that a completion was shown or taken; nothing is kept
        return Response()

    routes = [
        ("GET", "/v1/health", health),
        ("POST", "/v1/health", health),
        ("GET", "/v1beta/server_setting", setting),
        ("POST", "/v1/events", events),
    ]
    return Contract(routes, error_body)


def error_body(refusal: Refusal) -> Any:
    return {"error": refusal.message}


def is_tabby(fields: Fields) -> bool:
    """Whether a request of /v1/completions is Tabby's."""
    return "prompt" not in fields and ("segments" in fields or "debug_options" in fields)


async def complete(served: Served, request: HttpRequest, fields: Fields) -> Response:
    """The response to Tabby's request of /v1/completions."""
    tokenizer = served.service.engine.tokenizer
    options, segments = fields.inner("debug_options"), fields.inner("segments")
    if "raw_prompt" in options:
        prompt: AnyPrompt = raw(tokenizer, options.text("raw_prompt"))
    else:
        found = [*segments.objects("relevant_snippets_from_changed_files"), *segments.objects("declarations")]
        others = [(snippet.text("filepath"), snippet.text("body")) for snippet in reversed(found)]  # the best one last
        where = (segments.text("git_url", ""), segments.text("filepath", ""))
        prompt = hole(tokenizer, segments.text("prefix"), segments.text("suffix", ""), others, *where)
    params = sampling(fields, max_tokens=MAX_TOKENS, healing=served.healing(prompt))
    [(pieces, _)] = await unless_gone(request, served.write_all([Request(prompt, params)]))
    choice = {"index": 0, "text": "".join(piece.text for piece in pieces)}
    return json_response({"id": f"cmpl-{uuid.uuid4().hex}", "choices": [choice]})
