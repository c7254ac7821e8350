"""/v1/status: what the model can do, how fast it writes, and how many texts it writes now."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute

from chaku.serve.http import Contract, json_response
from chaku.serve.models import Served
from chaku.serve.openai import error_body

DATABASES = "/v1/sql/databases"


def contract(served: Served) -> Contract:
    """The route."""
    engine = served.service.engine
    abilities = {"infills": engine.tokenizer.infilling is not None, "chats": engine.chats}

    async def status(request: HttpRequest) -> Response:
        databases = _answers(request.app.routes, DATABASES)
        return json_response(_now(served) | abilities | {"asks_databases": databases})

    return Contract([("GET", "/v1/status", status)], error_body)


def _now(served: Served) -> dict[str, Any]:
    service = served.service
    used, blocks = service.cache_use
    return {
        "name": served.name,
        "context": service.engine.context,
        "running": service.num_running,
        "max_running": service.max_rows,
        "waiting": service.num_waiting,
        "max_waiting": service.max_waiting,
        "cache_use": round(used / blocks, 4) if blocks else 0.0,
        "tokens_per_second": round(service.speed, 1) if service.speed else None,
    }


def _answers(routes: Sequence[BaseRoute], path: str) -> bool:
    """Whether the application has a route for a path."""
    return any(getattr(route, "path", None) == path for route in routes)
