"""Questions to the operator's databases: /v1/sql/ask, /v1/sql/back, /v1/sql/run, /v1/sql/remember, and the schemas."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from chaku.serve.databases import Databases
from chaku.serve.desk import MAX_SAMPLES, Desk, Step
from chaku.serve.fields import Fields, Refusal
from chaku.serve.http import Contract, dumps, json_response, read_fields, streamed, unless_gone
from chaku.serve.sql_answers import AnswerRecord, ClarifyRecord, NoAnswerRecord
from chaku.sql.ask.answers import Linked, Ran, Written


def contract(databases: Databases) -> Contract:
    """The routes."""

    async def every(request: Request) -> Response:
        return json_response({"databases": await asyncio.gather(*map(_tables, databases))})

    async def schema(request: Request) -> Response:
        return json_response(asdict(await databases.find(request.path_params["name"]).schema()))

    async def ask(request: Request) -> Response:
        fields = await _read(request)
        desk, question = _desk(databases, fields), fields.text("question")
        samples = fields.whole("samples", databases.asking.num_samples, 1, MAX_SAMPLES)
        steps = desk.ask(question, samples, fields.text("session", ""))
        if fields.flag("stream"):
            return await streamed(request, _events(steps), "application/x-ndjson", _failed)
        return json_response(await unless_gone(request, _last_event(steps)))

    async def back(request: Request) -> Response:
        fields = await _read(request)
        return json_response({"question": await _desk(databases, fields).back(fields.text("session"))})

    async def run(request: Request) -> Response:
        fields = await _read(request)
        record = await unless_gone(request, _desk(databases, fields).run(fields.text("sql")))
        return json_response(asdict(record))

    async def remember(request: Request) -> Response:
        fields = await _read(request)
        await _desk(databases, fields).remember(fields.text("question"), fields.text("sql"))
        return json_response({"remembered": True})

    routes = [
        ("GET", "/v1/sql/databases", every),
        ("GET", "/v1/sql/databases/{name}/schema", schema),
        ("POST", "/v1/sql/ask", ask),
        ("POST", "/v1/sql/back", back),
        ("POST", "/v1/sql/run", run),
        ("POST", "/v1/sql/remember", remember),
    ]
    return Contract(routes, error_body, stop=databases.close)


def error_body(refusal: Refusal) -> Any:
    return {"event": "error", "message": refusal.message}


def event(step: Step) -> dict[str, Any]:
    """A step as an event of the stream."""
    match step:
        case Linked(tables):
            return {"event": "linked", "tables": tables}
        case Written(queries, num_samples):
            return {"event": "written", "queries": queries, "samples": num_samples}
        case Ran(candidate):
            result = candidate.result
            return {
                "event": "ran",
                "sql": candidate.sql,
                "votes": candidate.votes,
                "status": result.status,
                "reason": result.reason,
                "num_rows": len(result.rows),
                "seconds": result.seconds,
            }
        case AnswerRecord():
            return {"event": "answer", **asdict(step)}
        case NoAnswerRecord():
            return {"event": "refused", **asdict(step)}
        case ClarifyRecord():
            return {"event": "clarify", **asdict(step)}


async def _read(request: Request) -> Fields:
    """The fields of a request, which must say that it is JSON: a page of another site may not send such a request."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "the Content-Type must be application/json")
    return await read_fields(request)


def _desk(databases: Databases, fields: Fields) -> Desk:
    return databases.find(fields.text("database", ""))


async def _tables(desk: Desk) -> dict[str, Any]:
    """A database with its tables, or with the reason why they are unknown."""
    try:
        return {"name": desk.name, "tables": [table.name for table in (await desk.schema()).tables]}
    except Refusal as refusal:
        return {"name": desk.name, "tables": [], "error": refusal.message}


async def _events(asked: AsyncGenerator[Step, None]) -> AsyncIterator[bytes]:
    async with aclosing(asked) as steps:
        async for step in steps:
            yield dumps(event(step)) + b"\n"


async def _last_event(asked: AsyncGenerator[Step, None]) -> dict[str, Any]:
    async with aclosing(asked) as steps:
        return event([step async for step in steps][-1])


def _failed(refusal: Refusal) -> bytes:
    return dumps(error_body(refusal)) + b"\n"
