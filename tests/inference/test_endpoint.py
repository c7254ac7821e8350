"""An OpenAI-compatible server: what it is asked, how its troubles are borne, and what is said when it refuses."""

import socket
import time

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Benchmark, Task
from chaku.evals.generate import Sampling, generate_samples
from chaku.inference import post_json as module
from chaku.inference.endpoint import Endpoint
from chaku.inference.generator import (
    ChatPrompt,
    InfillPrompt,
    RepositoryFile,
    Request,
    SamplingParams,
    TextPrompt,
    answer_all,
)
from chaku.tokens.chat import Message
from endpoint_server import running_server


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 0.001)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with running_server() as running:
        yield running


TASKS = [Task("a", "one"), Task("b", "two", suffix="after"), Task("c", "three")]
BENCHMARK = Benchmark("little", lambda path: TASKS, "plain", None, stops=("STOP", "1", "2", "3", "4"), max_tokens=9)
SAMPLING = Sampling(temperature=0.8, top_p=0.95, num_samples=2, seed=70)


def test_each_sample_is_one_request_with_a_seed_of_its_own(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    samples, record = generate_samples(BENCHMARK, TASKS, Endpoint(server.url, "m"), SAMPLING, tmp_path)
    assert [(sample.task_id, sample.index, sample.completion) for sample in samples] == [
        (task.task_id, index, f"{task.prompt}/7{index}".split("1")[0]) for task in TASKS for index in range(2)
    ]  # cut at the fifth stop too, which the server is not given
    asked = sorted(server.requests, key=lambda request: (request["prompt"], request["seed"]))
    assert asked[0] == {
        "model": "m",
        "prompt": "one",
        "max_tokens": 9,
        "temperature": 0.8,
        "top_p": 0.95,
        "n": 1,
        "seed": 70,
        "stop": ["STOP", "1", "2", "3"],
    }
    assert [request["suffix"] for request in asked if request["prompt"] == "two"] == ["after", "after"]
    assert set(server.keys) == {"Bearer secret"}
    assert set(server.paths) == {"/v1/completions"}
    assert (record["model"], record["endpoint"]) == ("m", f"{server.url}/completions")
    assert "secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_busy_and_broken_answers_are_asked_again(server, tmp_path):
    server.troubles = [429, 503, 500, "hang up", 429]
    samples, _ = generate_samples(BENCHMARK, TASKS, Endpoint(server.url, "m"), Sampling(), tmp_path)
    assert len(samples) == 3
    assert len(server.requests) == 3 + 5


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "set OPENAI_API_KEY"), (404, "a name that the server serves"), (400, "so sorry")]
)
def test_a_refusal_is_said_in_the_servers_words_at_once(server, tmp_path, status, hint):
    server.troubles = [status] * 100
    with pytest.raises(ChakuError, match=f"refuses: {status} .*so sorry.*{hint}|refuses: {status}.*{hint}"):
        generate_samples(BENCHMARK, TASKS[:1], Endpoint(server.url, "m"), Sampling(), tmp_path)
    assert len(server.requests) == 1


def test_a_server_that_stays_away_stops_it_and_what_came_is_kept(server, tmp_path):
    server.answer = lambda request: {"choices": [{"text": "x"}]} if request["prompt"] == "one" else {"choices": []}
    with pytest.raises(ChakuError, match="answers without choices"):
        generate_samples(BENCHMARK, TASKS, Endpoint(server.url, "m"), Sampling(), tmp_path)
    server.answer = lambda request: {"choices": [{"text": "x"}]}
    server.troubles = [503] * module.ATTEMPTS
    server.requests.clear()
    with pytest.raises(ChakuError, match=r"did not answer 8 times \(503 .*run the same command"):
        generate_samples(BENCHMARK, [TASKS[0]], Endpoint(server.url, "m"), Sampling(), tmp_path / "away")
    server.requests.clear()
    samples, _ = generate_samples(BENCHMARK, TASKS, Endpoint(server.url, "m"), Sampling(), tmp_path)
    assert len(samples) == 3
    assert len(server.requests) <= 3


def test_nobody_listens(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT", 0.001)
    with pytest.raises(ChakuError, match=r"did not answer 8 times .*refused"):
        generate_samples(BENCHMARK, TASKS[:1], Endpoint("http://127.0.0.1:9", "m"), Sampling(), tmp_path)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://host:80", "http://host:80/v1/completions"),
        ("https://host/api/v1/", "https://host/api/v1/completions"),
        ("http://host/v1/completions", "http://host/v1/completions"),
    ],
)
def test_the_address_may_be_given_short_or_long(url, address):
    assert Endpoint(url, "m").address == address


def test_what_is_no_url_is_refused():
    with pytest.raises(ChakuError, match="is not a URL like http"):
        _ = Endpoint("localhost:8000", "m").address


def complete(url, **settings):
    [completion] = Endpoint(url, "m", **settings).answer([Request(TextPrompt("x"), SamplingParams(max_tokens=1))])
    return completion.text


def test_where_somebody_waits_a_server_that_is_not_there_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(ChakuError, match=r"did not answer in \d s: .*refused"):
        complete("http://127.0.0.1:9/v1", patience=60.0)
    assert time.monotonic() - started < 10


def test_where_somebody_waits_a_server_that_takes_requests_and_answers_none_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ChakuError, match=r"did not answer in 1 s: timed out"):
            complete(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", patience=1.0)
        assert time.monotonic() - started < 10


def test_where_somebody_waits_a_busy_server_is_asked_no_longer_than_that(server):
    server.troubles = [503] * 8
    with pytest.raises(ChakuError, match=r"did not answer in \d s: 503"):
        complete(server.url, patience=0.001)
    assert len(server.requests) < 8
    server.troubles = [503]
    assert complete(server.url, patience=60.0).startswith("x/0")


def test_a_conversation_goes_to_the_chat_api_turn_by_turn(server):
    server.answer = lambda request: {"choices": [{"message": {"content": "y"}, "finish_reason": "length"}]}
    talk = ChatPrompt((Message("system", "Be brief."), Message("user", "x")))
    params = SamplingParams(num_samples=2, temperature=0.8, first_greedy=True)
    found = dict(
        pair
        for pairs in answer_all(Endpoint(server.url, "m", chat=True), [Request(talk, params, n) for n in range(2)])
        for pair in pairs
    )
    assert [found[number].finish_reason for number in range(2)] == ["length", "length"]
    assert server.requests[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "x"},
    ]
    assert sorted(request["temperature"] for request in server.requests) == [0.0, 0.8]
    assert set(server.paths) == {"/v1/chat/completions"}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(TextPrompt("x"), SamplingParams(), grammar="start: /a/"), "cannot decode under a grammar"),
        (
            Request(InfillPrompt("a", "b", file=RepositoryFile("here", "a.py")), SamplingParams()),
            "cannot read a repository",
        ),
        (Request(ChatPrompt((Message("user", "x"),), "Sure"), SamplingParams()), "needs the endpoint's chat API"),
        (Request(TextPrompt("x", max_tokens=3), SamplingParams()), "neither healed nor counted"),
    ],
)
def test_what_an_endpoint_cannot_do_is_refused_not_left_out(server, request_, message):
    with pytest.raises(ChakuError, match=message):
        Endpoint(server.url, "m").answer([request_])
    assert server.requests == []
