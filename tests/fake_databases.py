"""The routes of a server with databases, without databases: fixed answers, and a record of what was asked."""

import json

from starlette.responses import StreamingResponse

from chaku.serve.http import Contract, json_response, read_fields
from chaku.serve.openai import error_body

SESSION = "an-id-that-nobody-guesses"
SQL = "SELECT country, SUM(total)\nFROM orders GROUP BY country"
COUNTRIES = [["Germany", 1203.5], ["<b>France</b>", -120.25], [None, 7], ["Japan", 30]]
MONTHS = [[f"2025-{month:02d}", 100 + 17 * month % 60] for month in range(1, 13)]


def answer(sql: str, columns: list[str], rows: list[list], **fields) -> dict:
    more = {"num_rows": len(rows), "truncated": False, "explanation": [], "assumed": [], "confidence": 1.0}
    said = {"sentence": f"{len(rows)} rows were found.", "chart": None}
    votes = {"votes": 5, "samples": 5}
    return {
        "event": "answer",
        "session": SESSION,
        "sql": sql,
        "columns": columns,
        "rows": rows,
        **more,
        **votes,
        **said,
        **fields,
    }


ANSWERS = {
    "Total of each country?": answer(
        SQL,
        ["country", "total"],
        [row for row in COUNTRIES if row[0]],
        explanation=["Takes the rows of orders.", "Adds up total for each country."],
        assumed=["orders are of all years"],
        confidence=0.8,
        votes=4,
    ),
    "And each month?": answer("SELECT month, COUNT(*) FROM orders", ["month", "orders"], MONTHS),
    "With those without a country?": answer(SQL, ["country", "total"], COUNTRIES),
    "Exact totals?": answer(SQL, ["total", "country"], [["1.50", "Chile"], ["20", "Peru"]]),
    "All?": answer("SELECT * FROM orders", ["id"], [[number] for number in range(1000)], truncated=True),
    "Orders from Georgia?": {
        "event": "clarify",
        "question": "Do you mean country = 'Georgia' or state = 'Georgia'?",
        "choices": ["country = 'Georgia'", "state = 'Georgia'"],
        "session": SESSION,
    },
    "2": answer("SELECT 7", ["orders"], [[7]]),
    "Delete all": {"event": "refused", "question": "Delete all", "reason": "The question asks to change data."},
}


def contract(asked: list[dict]) -> Contract:
    """The routes; each request's body is added to `asked`."""

    async def databases(request):
        found = [{"name": "shop", "tables": ["orders", "customers"]}, {"name": "singers", "tables": ["singer"]}]
        return json_response({"databases": found})

    async def ask(request):
        fields = await read_fields(request)
        assert fields.flag("stream")
        asked.append(fields.body)
        events = [
            {"event": "linked", "tables": ["orders"]},
            {"event": "written", "queries": [SQL], "samples": 5},
            {"event": "ran", "sql": SQL, "votes": 5, "status": "ok", "reason": "", "num_rows": 3, "seconds": 0.1},
            {"question": fields.text("question"), **ANSWERS[fields.text("question")]},
        ]
        return StreamingResponse((json.dumps(event) + "\n" for event in events), media_type="application/x-ndjson")

    async def back(request):
        asked.append((await read_fields(request)).body)
        return json_response({"question": "Total of each country?"})

    async def remember(request):
        asked.append((await read_fields(request)).body)
        return json_response({"remembered": True})

    routes = [
        ("GET", "/v1/sql/databases", databases),
        ("POST", "/v1/sql/ask", ask),
        ("POST", "/v1/sql/back", back),
        ("POST", "/v1/sql/remember", remember),
    ]
    return Contract(routes, error_body)
