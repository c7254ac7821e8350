"""Mistral's API for infilling: /v1/fim/completions, whose answers have the form of a chat's."""

from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from chaku.inference.generator import Request
from chaku.serve.fields import MAX_TOKENS, Fields, Refusal, sampling
from chaku.serve.http import Contract, read_fields
from chaku.serve.models import Served
from chaku.serve.openai import ChatForm, answer
from chaku.serve.prompts import hole


def contract(served: Served) -> Contract:
    """The route."""

    async def fim(request: HttpRequest) -> Response:
        fields = await read_fields(request)
        return await answer(served, request, fields, _Fim(served, fields))

    return Contract([("POST", "/v1/fim/completions", fim)], error_body)


def error_body(refusal: Refusal) -> Any:
    kind = "invalid_request_error" if refusal.status < 500 else "server_error"
    return {"object": "error", "message": refusal.message, "type": kind, "param": refusal.field, "code": None}


class _Fim(ChatForm):
    """A request of /v1/fim/completions. Without a temperature, the likeliest text."""

    prefix = "fim"

    def __init__(self, served: Served, fields: Fields):
        super().__init__(served)
        prompt = hole(self._tokenizer, fields.text("prompt"), fields.text("suffix", ""))
        name = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
        params = sampling(
            fields,
            max_tokens=fields.whole(name, MAX_TOKENS, 1, MAX_TOKENS),
            healing=served.healing(prompt),
            names={"seed": "random_seed"},
        )
        self.requests = [Request(prompt, params, adapter=served.adapter(fields.text("model", "")))]
