"""The MCP server, asked by the SDK's own client: in process, over standard input and output, and over HTTP."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="without chaku[mcp] the MCP server is NOT tested")
import httpx
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from chaku.cli import main
from chaku.serve.mcp_run import Listening, http_app
from chaku.serve.mcp_server import build_server
from command_lines import parse
from endpoint_server import running_server
from shop_database import make_shop

COUNT = "SELECT count(*) FROM orders"


@pytest.fixture
def talk(script, shop):
    """talk(work, *more databases): runs `work(client)` against a server in this process."""

    def one(work, *more):
        async def conversation():
            databases = script.databases(shop, *more)
            try:
                async with Client(build_server(databases)) as client:
                    return await work(client)
            finally:
                await databases.close()

        return asyncio.run(conversation())

    return one


def test_the_tools_say_what_they_take_and_give_and_that_they_only_read(talk):
    tools = {tool.name: tool for tool in talk(lambda client: client.list_tools()).tools}
    assert set(tools) == {"ask", "schema", "run"}
    assert tools["ask"].input_schema["required"] == ["question"]
    assert {"sql", "columns", "rows", "confidence", "assumed"} <= tools["ask"].output_schema["properties"].keys()
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools.values())


def test_an_answer_has_types_and_its_steps_are_progress(talk):
    steps = []

    async def work(client):
        async def heard(progress, total, message):
            steps.append((progress, message))

        return await client.call_tool("ask", {"question": "How many orders are there?"}, progress_callback=heard)

    result = talk(work)
    assert not result.is_error
    answer = result.structured_content
    assert (answer["sql"], answer["columns"], answer["rows"]) == (COUNT, ["count(*)"], [[3]])
    assert (answer["votes"], answer["samples"]) == (2, 2)
    assert json.loads(result.content[0].text) == answer
    assert [number for number, _ in steps] == [1, 2, 3, 4, 5]
    assert steps[1][1] == f"written: {COUNT}"


def test_a_glossary_answers_by_rule(talk, shop):
    words = '[metrics."number of orders"]\nexpression = "count(*)"\ntable = "orders"\n'
    shop.with_suffix(".glossary.toml").write_text(words)

    async def work(client):
        return await client.call_tool("ask", {"question": "What is the number of orders?"})

    answer = talk(work).structured_content
    assert (answer["rows"], answer["by_rule"], answer["samples"]) == ([[3]], True, 0)


def test_schemas_and_queries_have_types(talk):
    async def work(client):
        schema = await client.call_tool("schema", {})
        rows = await client.call_tool("run", {"sql": "SELECT title, x'00' FROM products"})
        return schema.structured_content, rows.structured_content

    schema, rows = talk(work)
    assert [table["name"] for table in schema["tables"]] == ["customers", "products", "orders", "order_items"]
    assert rows["rows"] == [["Lamp", {"base64": "AA=="}], ["Novel", {"base64": "AA=="}]]


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [
        ("run", {"sql": "DROP TABLE orders"}, "only one SELECT runs"),
        ("run", {"sql": "ATTACH '/etc/passwd' AS p"}, "only one SELECT runs"),
        ("run", {"sql": "SELECT 1; SELECT 2"}, "only one statement runs"),
        ("run", {"sql": "SELECT 1", "database": "/etc/passwd"}, "there is no database '/etc/passwd'; give shop"),
        ("run", {}, "sql"),
        ("ask", {"question": "x" * 50_000}, "it may have 4,000"),
        ("ask", {"question": ["How many?"]}, "question"),
        ("schema", {"database": "absent"}, "there is no database 'absent'; give shop"),
    ],
)
def test_what_is_wrong_is_an_error_of_the_tool(talk, script, tool, arguments, why):
    result = talk(lambda client: client.call_tool(tool, arguments))
    assert result.is_error
    assert why in result.content[0].text
    assert script.asked == []


def test_without_an_answer_and_without_the_database_the_reason_is_said(talk, script, shop, tmp_path):
    script.reply = "NO ANSWER: customers have no age"

    async def work(client):
        refused = await client.call_tool("ask", {"question": "How old are customers?", "database": "shop"})
        unnamed = await client.call_tool("schema", {})
        shop.unlink()
        return refused, unnamed, await client.call_tool("schema", {"database": "shop"})

    refused, unnamed, gone = talk(work, make_shop(tmp_path / "other.sqlite"))
    assert refused.is_error
    assert "no answer: the model says: NO ANSWER: customers have no age" in refused.content[0].text
    assert "name the database: shop or other" in unnamed.content[0].text
    assert "the database shop cannot be read now" in gone.content[0].text


@pytest.fixture
def endpoint():
    with running_server() as running:
        running.answer = lambda request: {"choices": [{"message": {"content": COUNT}}]}
        yield running


def command(shop, endpoint, *more):
    words = ["-m", "chaku", "sql", "mcp", "--db", str(shop), "--endpoint", endpoint.url, "--samples", "2"]
    return StdioServerParameters(command=sys.executable, args=[*words, *more], env=dict(os.environ))


def test_over_standard_input_and_output(shop, endpoint):
    async def conversation():
        async with Client(command(shop, endpoint)) as client:
            tools = await client.list_tools()
            answer = await client.call_tool("ask", {"question": "How many orders are there?"})
            return client.server_info, tools, answer

    info, tools, answer = asyncio.run(conversation())
    assert info.name == "chaku"
    assert [tool.name for tool in tools.tools] == ["ask", "schema", "run"]
    assert answer.structured_content["rows"] == [[3]]


def test_no_values_sends_no_cell_to_the_endpoint_and_the_schema_shows_none(shop, endpoint, tmp_path):
    log = tmp_path / "sent.jsonl"

    async def conversation():
        async with Client(command(shop, endpoint, "--no-values", "--log-sent", str(log))) as client:
            await client.call_tool("ask", {"question": "How many customers live in the UK?"})
            return (await client.call_tool("schema", {})).structured_content

    schema = asyncio.run(conversation())
    assert not any(column["values"] for table in schema["tables"] for column in table["columns"])
    sent = json.dumps(endpoint.requests, ensure_ascii=False)
    assert "CREATE TABLE customers" in sent
    assert [cell for cell in ("Ada", "United Kingdom", "中国", "Lamp", "2023-02-02") if cell in sent] == []
    assert len(log.read_text().splitlines()) == len(endpoint.requests) == 2


def test_standard_output_has_the_protocol_alone(shop, endpoint):
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    ask = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "schema", "arguments": {}}}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    parameters = command(shop, endpoint)
    with subprocess.Popen(
        [parameters.command, *parameters.args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        for message in (hello, ready, "this is no JSON", ask):
            server.stdin.write((message if isinstance(message, str) else json.dumps(message)).encode() + b"\n")
            server.stdin.flush()
        replies: dict[int, object] = {}
        while 2 not in replies:
            reply = json.loads(server.stdout.readline())
            replies[reply.get("id")] = reply
        server.stdin.close()
        rest = server.stdout.read()
        assert server.wait(60) == 0, server.stderr.read()
    assert rest == b""
    assert replies[1]["result"]["serverInfo"]["name"] == "chaku"
    assert replies[2]["result"]["structuredContent"]["database"] == "shop"


def test_over_http_with_a_key(script, shop, served_at):
    databases = script.databases(shop)
    app = http_app(build_server(databases), Listening("127.0.0.1", 0, "secret"))

    async def conversation(url):
        keyed = httpx2.AsyncClient(headers={"Authorization": "Bearer secret"})
        async with keyed, Client(streamable_http_client(url, http_client=keyed)) as client:
            return await client.call_tool("ask", {"question": "How many orders are there?"})

    with served_at(app) as address:
        url = f"{address}/mcp"
        assert asyncio.run(conversation(url)).structured_content["rows"] == [[3]]
        assert httpx.post(url, json={}).status_code == 401
        other_site = {"Authorization": "Bearer secret", "Host": "evil.example"}
        assert httpx.post(url, json={}, headers=other_site).status_code == 421
    asyncio.run(databases.close())


def test_the_configuration_in_the_docs_starts_the_command():
    text = (Path(__file__).parent.parent.parent / "docs" / "asking.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    [server] = json.loads(block)["mcpServers"].values()
    assert server["command"] == "chaku"
    assert parse(server["args"]).command_path == "chaku sql mcp"


def test_the_command_line_refuses_what_cannot_work(shop, tmp_path, capsys):
    asks = ["sql", "mcp", "--db", str(shop)]
    assert main([*asks, "--endpoint", "http://x", "--http", "0", "--host", "0.0.0.0"]) == 2
    assert "--host 0.0.0.0 lets other machines ask; give --api-key" in capsys.readouterr().err
    assert main(["sql", "mcp", "--db", str(tmp_path / "absent.db"), "--endpoint", "http://x"]) == 2
    assert "absent.db does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(asks)
