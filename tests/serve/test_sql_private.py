"""Clients of a server, over HTTP and MCP, get nothing of a column that the glossary calls private."""

import asyncio
import json

import pytest

pytest.importorskip("starlette", reason="without chaku[serve] the server is NOT tested")
from starlette.testclient import TestClient

from chaku.serve import sql
from chaku.serve.app import build_app
from chaku.serve.models import Served
from chaku.serve.service import Service
from private_shop import SECRETS, make_private_shop


def test_over_http(engine, script, tmp_path, homes):
    databases = script.databases(make_private_shop(tmp_path), remember=True)
    with TestClient(build_app(Served(Service(engine), "tiny"), more=[sql.contract(databases)])) as client:
        schema = client.get("/v1/sql/databases/shop/schema").json()
        script.reply = "SELECT * FROM customers"
        refused = client.post("/v1/sql/ask", json={"question": "All about our customers?"}).json()
        script.reply = "SELECT name FROM customers"
        answered = client.post("/v1/sql/ask", json={"question": "The names of our customers?"}).json()
        for query in ("SELECT phone FROM customers", "SELECT name FROM customers WHERE phone > 'A'"):
            own = client.post("/v1/sql/run", json={"sql": query})
            assert own.status_code == 400
            assert "customers.phone is private (in the glossary)" in own.json()["message"]
        pair = {"question": "Phones?", "sql": "SELECT phone FROM customers"}
        assert client.post("/v1/sql/remember", json=pair).status_code == 400
    assert [column["name"] for column in schema["tables"][0]["columns"]] == ["id", "name", "country", "joined"]
    assert refused["event"] == "refused"
    assert "private" in refused["reason"]
    assert answered["rows"][0] == ["Ada"]
    for text in (*script.asked, json.dumps(schema), json.dumps(answered)):
        assert [secret for secret in SECRETS if secret in text] == []


def test_over_mcp(script, tmp_path, homes):
    pytest.importorskip("mcp", reason="without chaku[mcp] the MCP server is NOT tested")
    from mcp import Client

    from chaku.serve.mcp_server import build_server

    async def conversation():
        databases = script.databases(make_private_shop(tmp_path))
        script.reply = "SELECT phone FROM customers"
        try:
            async with Client(build_server(databases)) as client:
                schema = await client.call_tool("schema", {})
                ran = await client.call_tool("run", {"sql": "SELECT * FROM customers"})
                asked = await client.call_tool("ask", {"question": "Which numbers?"})
                return schema, ran, asked
        finally:
            await databases.close()

    schema, ran, asked = asyncio.run(conversation())
    assert "country" in schema.content[0].text
    assert [secret for secret in SECRETS if secret in schema.content[0].text] == []
    assert (ran.is_error, asked.is_error) == (True, True)
    assert "stands for private columns of customers" in ran.content[0].text
    assert "private" in asked.content[0].text
    assert "MARK" not in asked.content[0].text + "".join(script.asked)
