"""The routes of a server with databases, without databases: fixed answers, and a record of what was asked."""

import json

from starlette.responses import StreamingResponse

from chaku.serve.http import Contract, json_response, read_fields
from chaku.serve.openai import error_body

SQL = "SELECT country, SUM(total)\nFROM orders GROUP BY country"
COUNTRIES = [["Germany", 1203.5], ["<b>France</b>", -120.25], [None, 7], ["Japan", 30]]
MONTHS = [[f"2025-{month:02d}", 100 + 17 * month % 60] for month in range(1, 13)]
EVENTS = {
    "Total of each country?": {
        "event": "answer",
        "sql": SQL,
        "columns": ["country", "total"],
        "rows": [row for row in COUNTRIES if row[0]],
        "assumed": ["orders are of all years"],
        "confidence": 0.8,
        "explanation": "Adds up the orders of each country.",
    },
    "And each month?": {
        "event": "answer",
        "sql": "SELECT month, COUNT(*) FROM orders GROUP BY month",
        "columns": ["month", "orders"],
        "rows": MONTHS,
    },
    "With those without a country?": {
        "event": "answer",
        "sql": SQL,
        "columns": ["country", "total"],
        "rows": COUNTRIES,
    },
    "Delete all": {"event": "refused", "message": "The question asks to change data.", "sql": "DELETE FROM orders"},
}


def contract(asked: list[dict]) -> Contract:
    """The routes; each request's body is added to `asked`."""

    async def databases(request):
        found = [{"name": "shop", "tables": ["orders", "customers"]}, {"name": "singers", "tables": ["singer"]}]
        return json_response({"databases": found})

    async def ask(request):
        fields = await read_fields(request)
        asked.append(fields.body)
        steps = [{"event": "linked", "tables": ["orders"]}, {"event": "written", "sql": SQL}, {"event": "ran"}]
        events = [*steps, EVENTS[fields.text("question")]]
        return StreamingResponse((json.dumps(event) + "\n" for event in events), media_type="application/x-ndjson")

    async def remember(request):
        asked.append((await read_fields(request)).body)
        return json_response({"remembered": True})

    routes = [
        ("GET", "/v1/sql/databases", databases),
        ("POST", "/v1/sql/ask", ask),
        ("POST", "/v1/sql/remember", remember),
    ]
    return Contract(routes, error_body)
