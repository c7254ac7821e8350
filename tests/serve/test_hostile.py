"""A hostile client gets an error, and others their texts."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from chaku.inference.scheduler import Scheduler
from chaku.serve.app import Access, build_app
from chaku.serve.models import Served
from chaku.serve.service import Service

BODY = {"prompt": "def", "max_tokens": 4, "temperature": 0}


def served(engine, **settings):
    return Served(Service(engine, **settings), "tiny")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"prompt": "\xff"}', "the body is not UTF-8"),
        (b"[1]", "the body must be a JSON object"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b'{"prompt": "x", "temperature": NaN}', "NaN is not a JSON number"),
        (b'{"prompt": "x", "temperature": 1e999}', "temperature must be a number from 0 to 100"),
        (b'{"prompt": "x", "temperature": "hot"}', "temperature must be a number"),
        (b'{"prompt": "x", "max_tokens": 0}', "max_tokens must be from 1"),
        (b'{"prompt": "x", "max_tokens": 1.5}', "max_tokens must be a whole number"),
        (b'{"prompt": "x", "max_tokens": true}', "max_tokens must be a whole number"),
        (b'{"prompt": "x", "n": 1000000}', "n must be from 1 to 128"),
        (b'{"prompt": {"a": 1}}', "prompt must be a string"),
        (b'{"prompt": [[]]}', "prompt must be a string"),
        (b'{"prompt": [-1]}', "token ids must be from 0"),
        (b'{"prompt": [99999999]}', "token ids must be from 0"),
        (b'{"prompt": "x", "stop": [1]}', "stop must be a string or a list of strings"),
        (b'{"prompt": "x", "stream": "yes"}', "stream must be true or false"),
        (b'{"prompt": "x", "stream": true, "stream_options": []}', "stream_options must be a JSON object"),
        (json.dumps({"prompt": "x " * 10_000}).encode(), "the model reads at most 255"),
    ],
)
def test_a_wrong_body_gets_400_with_what_is_wrong(client, body, message):
    answer = client.post("/v1/completions", content=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert client.post("/v1/completions", json=BODY).status_code == 200


def test_half_a_surrogate_pair_is_text(client):
    answer = client.post("/v1/completions", content=b'{"prompt": "x \\ud83d", "max_tokens": 2}')
    assert answer.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused_before_it_is_read(engine, chunked):
    access = Access(max_body=10_000)
    with TestClient(build_app(served(engine), access)) as client:
        body = json.dumps(BODY | {"prompt": "x" * 20_000}).encode()
        parts = (body[start : start + 1000] for start in range(0, len(body), 1000))
        answer = client.post("/v1/completions", content=parts if chunked else body)
        assert answer.status_code == 413
        assert "larger than 10,000 bytes" in answer.json()["error"]["message"]


def test_without_the_key_nothing_is_answered(engine):
    with TestClient(build_app(served(engine), Access(key="secret"))) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sécret".encode()}):
            for path in ("/v1/completions", "/v1/models", "/metrics"):
                assert client.request("POST" if "comp" in path else "GET", path, headers=headers).status_code == 401
        answer = client.post("/v1/completions", json=BODY, headers={"Authorization": "bearer secret"})
        assert answer.status_code == 200


def test_a_full_queue_answers_429_with_retry_after(engine, url_of):
    with url_of(served(engine, max_rows=1, max_waiting=0)) as url, httpx.Client(base_url=url) as client:
        long = BODY | {"max_tokens": 200, "stream": True}
        with client.stream("POST", "/v1/completions", json=long) as response:
            next(response.iter_lines())
            refused = client.post("/v1/completions", json=BODY | {"prompt": "x"})
        if refused.status_code != 200:  # the long text may have ended
            assert refused.status_code == 429
            assert refused.headers["Retry-After"] == "1"


def test_a_client_that_leaves_stops_its_text(engine, url_of):
    serving = served(engine)
    with url_of(serving) as url, httpx.Client(base_url=url) as client:
        for stream in (True, False):
            body = BODY | {"max_tokens": 240, "stream": stream, "temperature": 1.0}
            if stream:
                with client.stream("POST", "/v1/completions", json=body) as response:
                    next(response.iter_lines())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    client.post("/v1/completions", json=body, timeout=0.02)
        deadline = time.monotonic() + 10
        while serving.service.num_running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert serving.service.totals.written_tokens < 480
        assert client.post("/v1/completions", json=BODY).status_code == 200


def test_hundreds_of_silent_connections_do_not_stop_others(engine, url_of):
    with url_of(served(engine)) as url:
        where = urlsplit(url)
        silent = []
        for number in range(300):
            connection = socket.create_connection((where.hostname, where.port))
            if number % 2:
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            silent.append(connection)
        assert httpx.post(f"{url}/v1/completions", json=BODY).status_code == 200
        for connection in silent:
            connection.close()
        assert httpx.post(f"{url}/v1/completions", json=BODY).status_code == 200


def test_no_prompt_is_printed(client, capfd):
    client.post("/v1/completions", json=BODY | {"prompt": "a very secret text"})
    client.post("/v1/completions", json=BODY | {"prompt": "a very secret text", "max_tokens": 0})
    out, err = capfd.readouterr()
    assert "secret" not in out + err


def test_metrics_count(client):
    client.post("/v1/completions", json=BODY)
    client.post("/v1/completions", json=BODY | {"prompt": "def x"})
    found = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if not line.startswith("#"))
    assert found["chaku_requests_total"] == "2"
    assert int(found["chaku_written_tokens_total"]) >= 2
    assert found["chaku_running_texts"] == "0"


def test_pages_of_the_web_cannot_ask(engine):
    """Neither from their own origin, nor by a name of theirs that means this machine (DNS rebinding)."""
    app = build_app(served(engine), Access(hosts=("coder.lan",)))
    with TestClient(app, base_url="http://127.0.0.1:8012") as client:
        ask = lambda **headers: client.post("/v1/completions", json=BODY, headers=headers)  # noqa: E731
        assert ask().status_code == 200
        assert ask(Origin="http://127.0.0.1:8012").status_code == 200
        assert ask(Host="localhost:8012").status_code == ask(Host="[::1]:8012").status_code == 200
        assert ask(Host="coder.lan").status_code == 200
        assert ask(Origin="https://evil.example").status_code == ask(Origin="null").status_code == 403
        refused = ask(Host="evil.example:8012")
        assert refused.status_code == 403
        assert "--allow-host evil.example" in refused.json()["error"]["message"]


@pytest.mark.parametrize("prompt", ["\x1b[" * 100, '"[' * 70, "{" * 100])
def test_brackets_in_a_text_are_no_depth(client, prompt):
    assert client.post("/v1/completions", json=BODY | {"prompt": prompt}).status_code == 200


def test_a_deep_body_after_a_string_is_refused(client):
    deep = b'{"a\\"": "]", "prompt": ' + b"[" * 100 + b"]" * 100 + b"}"
    assert "nested deeper than 64" in client.post("/v1/completions", content=deep).json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/completions", "/completion", "/api/generate"])
def test_a_client_that_leaves_before_its_stream_begins_is_noticed(engine, url_of, monkeypatch, path):
    serving = served(engine)
    step, going = Scheduler.step, threading.Event()
    monkeypatch.setattr(Scheduler, "step", lambda self: going.wait(20) and step(self))  # no text begins
    with url_of(serving) as url:
        body = BODY | {"stream": True, "model": "", "max_tokens": 200}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + path, json=body, timeout=0.3)
        deadline = time.monotonic() + 5
        while serving.service.num_waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        left = serving.service.totals.cancelled
        going.set()
        assert left == 1


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("/v1/completions", {"prompt": ["x"] * 129}, "prompt must be at most 128 prompts"),
        ("/v1/completions", {"stop": ["x", "y" * 1001]}, "stop must be strings of at most 1,000 characters"),
        ("/v1/completions", {"grammar": 'start: "x"' * 50_000}, "grammar must be at most 100,000 characters"),
        ("/completion", {"grammar": 'root ::= "x"' * 50_000}, "grammar must be at most 100,000 characters"),
        ("/completion", {"json_schema": {"enum": ["x" * 100_000]}}, "the JSON schema has more than 100,000 characters"),
        ("/api/generate", {"format": {"enum": ["x" * 100_000]}, "model": ""}, "has more than 100,000 characters"),
        ("/v1/chat/completions", {"messages": [{}] * 10_001}, "messages must be a list of at most 10,000"),
    ],
)
def test_what_would_take_long_is_refused(client, path, more, message):
    answer = client.post(path, json=BODY | more)
    assert answer.status_code == 400
    assert message in answer.text


def test_other_requests_are_answered_while_a_long_text_is_tokenized(engine, monkeypatch):
    reading = threading.Event()
    tokenizer = type(engine.tokenizer)
    encode = tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda self, text: reading.wait(5) and encode(self, text))
    with TestClient(build_app(served(engine))) as client, ThreadPoolExecutor() as pool:
        tokens = pool.submit(client.post, "/tokenize", json={"content": "def"})
        health = pool.submit(client.get, "/health")
        assert health.result(3).status_code == 200
        reading.set()
        assert tokens.result(5).json()["tokens"]


def test_stop_tokens_of_requests_make_no_vocabularies(engine, client):
    before = len(engine._vocabularies)
    for number in range(5, 9):
        form = {"response_format": {"type": "json_object"}, "stop_token_ids": [number, number + 1]}
        assert client.post("/v1/completions", json=BODY | form).status_code == 200
    assert len(engine._vocabularies) <= before + 1


def test_a_key_may_have_any_letters(engine):
    with TestClient(build_app(served(engine), Access(key="sécret"))) as client:
        assert client.get("/v1/models", headers={"Authorization": "Bearer sécret".encode()}).status_code == 200


def test_the_least_temperature_is_greedy(client):
    texts = [
        client.post("/v1/completions", json=BODY | {"temperature": heat, "seed": 1}).json()["choices"][0]["text"]
        for heat in (0, 1e-320)
    ]
    assert texts[0] == texts[1]
