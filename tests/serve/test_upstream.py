"""Before another server: the same contracts, right ids for infilling, and its failures in plain words."""

import json
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from starlette.testclient import TestClient

from chaku import api
from chaku.inference.reader import PromptReader
from chaku.serve.app import build_app
from chaku.serve.database_settings import Asking
from chaku.serve.databases import Databases, open_databases
from chaku.serve.generator import ServiceGenerator
from chaku.serve.models import Served
from chaku.serve.sql import contract
from chaku.serve.upstream import Upstream

BODY = {"prompt": "def", "max_tokens": 12, "temperature": 0}
VLLM = (
    'data: {"choices": [{"text": "a", "finish_reason": null}]}',
    'data: {"choices": [{"text": "b", "finish_reason": "stop"}]}',
    'data: {"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 7}}}',
    "data: [DONE]",
)


def client_of(engine, url, kind="vllm"):
    reader = PromptReader(engine.config, engine.tokenizer)
    return TestClient(build_app(Served(Upstream(reader, url, kind, "behind"), "tiny")))


@contextmanager
def fake(*lines, status=200):
    """A server that answers every POST with these lines; yields its URL and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, json.loads(body)))
            self.send_response(status)
            self.end_headers()
            for line in lines:
                self.wfile.write(line.encode() + b"\n\n")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "more",
    [{}, {"temperature": 0.8, "seed": 5, "stop": ["x"]}, {"max_tokens": 500}, {"suffix": " end", "max_tokens": 100}],
)
def test_texts_are_those_of_the_server_behind(engine, url, more):
    body = BODY | {"prompt": "for x in range(10):\n"} | more  # ends with a whole word: this server heals no other
    direct = httpx.post(f"{url}/v1/completions", json=body).json()
    with client_of(engine, url) as client:
        ours = client.post("/v1/completions", json=body).json()
        chat = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
        assert client.post("/v1/chat/completions", json=chat).status_code == 400  # the tiny model has no template
    assert ours["choices"][0]["text"] == direct["choices"][0]["text"]
    assert ours["choices"][0]["finish_reason"] == direct["choices"][0]["finish_reason"]
    assert ours["usage"]["prompt_tokens"] == direct["usage"]["prompt_tokens"]


def test_a_hole_is_sent_as_token_ids_with_the_tokens_that_end_it(engine):
    tokens = engine.tokenizer.infilling
    with fake(*VLLM) as (url, asked), client_of(engine, url) as client:
        body = BODY | {"prompt": "def add(a, b):\n    <PRE>", "suffix": "\n", "stop_token_ids": [7]}
        answer = client.post("/v1/completions", json=body).json()
    assert answer["choices"][0] == {"text": "ab", "index": 0, "logprobs": None, "finish_reason": "stop"}
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 7}
    [(path, sent)] = asked
    assert path == "/v1/completions"
    assert sent["model"] == "behind"
    assert sent["prompt"].count(tokens.prefix) == sent["prompt"].count(tokens.middle) == 1  # typed <PRE> is text
    assert tokens.end in sent["stop_token_ids"]
    assert 7 in sent["stop_token_ids"]  # the client's own


def test_llama_cpp_gets_its_own_fields(engine):
    lines = ('data: {"content": "a", "stop": false}', 'data: {"content": "", "stop": true, "stop_type": "limit"}')
    with fake(*lines) as (url, asked), client_of(engine, url, "llama.cpp") as client:
        answer = client.post("/v1/completions", json=BODY | {"stop": "x"}).json()
    assert (answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]) == ("a", "length")
    [(path, sent)] = asked
    assert path == "/completion"
    assert (sent["n_predict"], sent["stop"], sent["cache_prompt"]) == (12, ["x"], True)


def test_ollama_gets_text_and_a_typed_sentinel_is_refused(engine):
    lines = ('{"response": "a", "done": false}', '{"response": "", "done": true, "done_reason": "stop"}')
    pieces, tokens = engine.tokenizer.pieces, engine.tokenizer.infilling
    with fake(*lines) as (url, asked), client_of(engine, url, "ollama") as client:
        answer = client.post("/v1/completions", json=BODY | {"suffix": " end"}).json()
        refused = client.post("/v1/completions", json=BODY | {"prompt": pieces[tokens.middle]})
    assert answer["choices"][0]["text"] == "a"
    [(path, sent)] = asked
    assert path == "/api/generate"
    assert sent["raw"] is True
    assert pieces[tokens.suffix] in sent["prompt"]
    assert sent["prompt"].count("def") == 1
    assert refused.status_code == 400
    assert "would read as a special token" in refused.json()["error"]["message"]


USAGE = {"prompt_tokens": 9, "completion_tokens": 7}
STOPPED = {
    "vllm": (
        'data: {"choices": [{"text": "a b"}]}',
        'data: {"choices": [{"text": " c", "finish_reason": "stop", "stop_reason": "x"}]}',
        f'data: {{"choices": [], "usage": {json.dumps(USAGE)}}}',
    ),
    "sglang": (
        'data: {"choices": [{"text": "a b", "matched_stop": null}], "usage": null}',
        'data: {"choices": [{"text": " c", "finish_reason": "stop", "matched_stop": "x"}]}',
        f'data: {{"choices": [], "usage": {json.dumps(USAGE)}}}',
    ),
    "llama.cpp": (
        'data: {"content": "a b", "stop": false, "tokens_predicted": 3}',
        'data: {"content": " c", "stop": true, "stop_type": "word", "stopping_word": "x", "tokens_predicted": 7}',
    ),
    "ollama": (
        '{"response": "a b", "done": false}',
        '{"response": " c", "done": true, "done_reason": "stop", "eval_count": 7}',
    ),
}


@pytest.mark.parametrize("kind", STOPPED)
def test_tokens_are_counted_by_the_server_behind_which_says_what_stopped_it(engine, kind):
    """Ollama does not tell a stop string from the end of a text."""
    with fake(*STOPPED[kind]) as (url, _), client_of(engine, url, kind) as client:
        whole = client.post("/completion", json={"prompt": "def", "n_predict": 12, "stop": ["x"]}).json()
        usage = client.post("/v1/completions", json=BODY | {"stop": "x"}).json()["usage"]
    assert (whole["content"], whole["tokens_predicted"], usage["completion_tokens"]) == ("a b c", 7, 7)
    expected = ("eos", "") if kind == "ollama" else ("word", "x")
    assert (whole["stop_type"], whole["stopping_word"]) == expected


def test_a_token_that_ends_a_text_is_no_stop_string(engine):
    line = 'data: {"choices": [{"text": "a", "finish_reason": "stop", "stop_reason": 151645}]}'
    with fake(line) as (url, _), client_of(engine, url) as client:
        whole = client.post("/completion", json={"prompt": "def", "stop": ["x"]}).json()
    assert (whole["stop_type"], whole["tokens_predicted"]) == ("eos", 1)


def test_how_tokens_are_chosen_is_passed_on(engine):
    """Servers with defaults of their own get every setting; vLLM gets those that are not its defaults."""
    body = BODY | {"top_k": 5, "presence_penalty": 0.5}
    for kind in ("vllm", "llama.cpp", "ollama"):
        with fake(*STOPPED[kind]) as (url, asked), client_of(engine, url, kind) as client:
            assert client.post("/v1/completions", json=body).status_code == 200
            refused = client.post("/v1/completions", json=body | {"repeat_penalty": 1.5})
        sent = asked[0][1].get("options", asked[0][1])
        assert (sent["top_k"], sent["presence_penalty"]) == (5, 0.5)
        assert ("repeat_penalty" in sent) == ("min_p" in sent) == (kind != "vllm")
        assert refused.status_code == (400 if kind == "vllm" else 200)


def test_failures_of_the_server_behind_are_told(engine, capsys):
    with client_of(engine, "http://127.0.0.1:9") as client:
        answer = client.post("/v1/completions", json=BODY)
        assert answer.status_code == 502
        assert "does not answer" in answer.json()["error"]["message"]
    with fake('{"error": "no such model"}', status=404) as (url, _), client_of(engine, url) as client:
        answer = client.post("/v1/completions", json=BODY)
        assert answer.status_code == 502
        assert "answers 404" in answer.json()["error"]["message"]
        assert "no such model" in answer.json()["error"]["message"]
    with fake(VLLM[0]) as (url, _), client_of(engine, url) as client:
        answer = client.post("/v1/completions", json=BODY)
        assert answer.status_code == 502
        assert "in the middle" in answer.json()["error"]["message"]
    with fake("data: {broken") as (url, _), client_of(engine, url) as client:
        assert client.post("/v1/completions", json=BODY).status_code == 502


def test_what_is_not_passed_on_is_refused(engine):
    with fake(*VLLM) as (url, asked), client_of(engine, url) as client:
        answer = client.post("/v1/completions", json=BODY | {"logprobs": 1})
        assert answer.status_code == 400
        assert "log-probabilities are not passed on" in answer.json()["error"]["message"]
    assert not asked


def test_editors_apis_stand_before_another_server(engine):
    with fake(*VLLM) as (url, asked), client_of(engine, url) as client:
        infill = client.post(
            "/infill", json={"input_prefix": "def f():\n", "prompt": "  ", "input_suffix": "\n"}
        ).json()
        assert (infill["content"], infill["stop_type"]) == ("ab", "eos")
        fim = client.post("/v1/fim/completions", json={"prompt": "a = ", "suffix": "\n"}).json()
        assert fim["choices"][0]["message"]["content"] == "ab"
        body = {"model": "m", "prompt": "a = ", "suffix": "\n", "stream": False}
        assert client.post("/api/generate", json=body).json()["response"] == "ab"
        segments = {"segments": {"prefix": "a = ", "suffix": "\n"}}
        assert client.post("/v1/completions", json=segments).json()["choices"] == [{"index": 0, "text": "ab"}]
        assert client.get("/api/tags").json()["models"][0]["size"] == 0
        assert client.get("/v1/health").json()["device"] == "remote"
    assert all(engine.tokenizer.middle_id in sent["prompt"] for _, sent in asked)


def test_questions_to_databases_are_answered_by_the_server_behind(engine, tmp_path):
    """A question's text is the other server's, and it is asked without a grammar, which that server does not take."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE toy (name TEXT)")
    sql = 'data: {"choices": [{"text": "SELECT name FROM toy", "finish_reason": "stop"}]}'
    with fake(sql) as (url, _):
        service = Upstream(
            PromptReader(replace(engine.config, max_position_embeddings=4096), engine.tokenizer), url, "vllm", "behind"
        )
        connect = lambda loop: api.Model(ServiceGenerator(service, loop), tmp_path)  # noqa: E731
        databases = Databases(open_databases([f"shop={path}"]), connect, Asking(cache=False))
        with TestClient(build_app(Served(service, "tiny"), more=[contract(databases)])) as client:
            answer = client.post("/v1/sql/ask", json={"question": "which toys are there?"}).json()
    assert answer["event"] == "answer", answer
    assert answer["sql"].startswith("SELECT name FROM toy")
