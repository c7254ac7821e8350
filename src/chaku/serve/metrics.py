"""GET /metrics: what the server has done and does, in Prometheus's text format."""

import time
from dataclasses import fields

from starlette.requests import Request
from starlette.responses import Response

from chaku.serve.http import Contract
from chaku.serve.models import Served
from chaku.serve.openai import error_body
from chaku.serve.service import TextService, Totals

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ABOUT = {
    "requests": "requests for texts that were taken",
    "refused": "requests that were refused because the queue was full",
    "cancelled": "texts that nobody waited for any more",
    "shared": "requests that got a text which was being written for an equal request",
    "prompt_tokens": "tokens of prompts",
    "cached_tokens": "tokens of prompts that were found in the cache",
    "written_tokens": "tokens that were written",
    "guessed_tokens": "tokens that were guessed from the text itself",
    "right_guesses": "guessed tokens that the model would have written",
    "steps": "runs of the model",
    "failures": "runs of the model that failed",
}


def contract(served: Served) -> Contract:
    """The route."""

    async def metrics(request: Request) -> Response:
        return Response(text_of(served.service), media_type=MEDIA_TYPE)

    return Contract([("GET", "/metrics", metrics)], error_body)


def text_of(service: TextService) -> str:
    """All metrics, each with a line that says what it is."""
    used, num_blocks = service.cache_use
    totals = {field.name: getattr(service.totals, field.name) for field in fields(Totals)}
    counters = [(f"{name}_total", ABOUT[name], value) for name, value in totals.items()]
    gauges = [
        ("running_texts", "texts that are being written", service.num_running),
        ("waiting_texts", "texts that wait to be written", service.num_waiting),
        ("cache_blocks_used", "blocks of the key-value cache that running texts use", used),
        ("cache_blocks", "blocks of the key-value cache", num_blocks),
        ("uptime_seconds", "seconds since the start", round(time.time() - service.started, 3)),
    ]
    lines = []
    for kind, metrics in (("counter", counters), ("gauge", gauges)):
        for name, about, value in metrics:
            lines += [f"# HELP chaku_{name} {about}", f"# TYPE chaku_{name} {kind}", f"chaku_{name} {value}"]
    return "\n".join(lines) + "\n"
