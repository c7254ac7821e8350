"""llama.cpp's API, asked with the bodies that llama.vim, llama.vscode, Continue and minuet send."""

import json
import re
import time
from contextlib import suppress

import httpx
import pytest

from chaku.inference.generator import InfillPrompt, RepositoryFile, Request, SamplingParams, TextPrompt
from chaku.inference.scheduler import Scheduler
from chaku.serve.app import build_app
from chaku.serve.models import Served, is_open
from chaku.serve.service import Service
from serve.ports import on_a_port

FIELDS = [
    "content",
    "timings/prompt_n",
    "timings/prompt_ms",
    "timings/prompt_per_token_ms",
    "timings/prompt_per_second",
    "timings/predicted_n",
    "timings/predicted_ms",
    "timings/predicted_per_token_ms",
    "timings/predicted_per_second",
    "truncated",
    "tokens_cached",
]
VIM = {  # autoload/llama.vim, s:fim
    "id_slot": 0,
    "input_prefix": "def add(a, b):\n",
    "input_suffix": "\n    return total\n",
    "input_extra": [],
    "prompt": "    to",
    "n_predict": 12,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": FIELDS,
    "model": "",
}
EXTRA = [{"text": "A = 1\n", "time": [1, 2], "filename": "src/a.py"}, {"text": "x", "time": [3, 4], "filename": ""}]
WARM_UP = {  # llama.vim, s:ring_update
    "id_slot": 0,
    "input_prefix": "",
    "input_suffix": "",
    "input_extra": EXTRA,
    "prompt": "",
    "n_predict": 0,
    "temperature": 0.0,
    "samplers": [],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 1,
    "t_max_predict_ms": 1,
    "response_fields": [""],
    "model": "",
}
VSCODE = {  # src/llama-server.ts, createRequestPayload
    "id_slot": 0,
    "input_prefix": "def add(a, b):\n",
    "input_suffix": "\n    return total\n",
    "input_extra": [],
    "prompt": "    ",
    "n_predict": 12,
    "n_cmpl": 3,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
    "lora": [{"id": 0, "scale": 0.5}],
}
LONG = VIM | {"n_predict": 200, "n_indent": 0}
NO_KEY = {"Authorization": "Bearer ", "Content-Type": "application/json"}


def write(engine, prompt, sample=0, **params):
    params = {"healing": is_open(prompt)} | params
    [completion] = engine.answer([Request(prompt, SamplingParams(**params), sample)])
    return completion


def test_llama_vim(client, engine, asked):
    answer = client.post("/infill", json=VIM, headers=NO_KEY)
    prefix = "def add(a, b):\n    to"
    assert asked == [
        Request(
            InfillPrompt(prefix, "\n    return total\n", window=True),
            SamplingParams(12, top_p=0.9, top_k=40, healing=True),
        )
    ]
    assert "\n" not in answer.text  # Vim hands on line by line
    assert re.search(r'"content"\s*:"', answer.text)
    assert list(answer.json()) == FIELDS
    written = write(engine, asked[0].prompt, max_tokens=12, healing=True)
    assert answer.json()["content"] == written.text
    assert answer.json()["truncated"] is False
    assert answer.json()["timings/predicted_n"] == written.num_tokens
    assert written.num_tokens == 12
    assert answer.json()["tokens_cached"] == len(engine.read(asked[0]).ids) + 12


def test_the_ids_are_code_llamas(client, engine, asked):
    client.post("/infill", json=VIM | {"input_prefix": "def f(): # <PRE> <MID>\n", "prompt": "  "})
    tokenizer = engine.tokenizer
    assert list(engine.read(asked[0]).ids) == [
        tokenizer.bos_id,
        tokenizer.prefix_id,
        tokenizer.suffix_id,
        *tokenizer.encode_infilling("\n    return total\n"),
        tokenizer.middle_id,
        *tokenizer.encode("def f(): # <PRE> <MID>\n  "),
    ]


def test_a_warm_up_reads_and_writes_nothing(qwen_client, qwen, asked):
    answer = qwen_client.post("/infill", json=WARM_UP)
    assert answer.json() == {}
    assert asked[0].prompt.file == RepositoryFile("myproject", "filename", (("src/a.py", "A = 1\n"), ("untitled", "x")))
    pieces = "".join(qwen.tokenizer.pieces[number] for number in qwen.read(asked[0]).ids)
    assert pieces == (
        "<|repo_name|>myprojectĊ<|file_sep|>src/a.pyĊAĠ=Ġ1Ċ<|file_sep|>untitledĊxĊ<|file_sep|>filenameĊ"
        "<|fim_prefix|><|fim_suffix|><|fim_middle|>"
    )
    same = WARM_UP | {"input_prefix": "A", "n_predict": 3, "response_fields": None, "t_max_predict_ms": -1}
    after = qwen_client.post("/infill", json=same).json()
    header = pieces.index("<|fim_prefix|>")
    num_header = len(qwen.read(asked[0]).ids) - 3
    assert header > 0
    assert after["timings"]["cache_n"] == num_header + 3  # the header and the infilling tokens
    assert after["timings"]["prompt_n"] == after["tokens_evaluated"] - num_header - 3
    silent = qwen_client.post("/infill", json=WARM_UP | {"response_fields": None}).json()
    assert (silent["content"], silent["tokens_predicted"], silent["stop_type"]) == ("", 0, "limit")


def test_llama_vscode_wants_several(client, engine, asked):
    results = client.post("/infill", json=VSCODE).json()
    prompt = InfillPrompt("def add(a, b):\n    ", "\n    return total\n", window=True)
    assert [result["index"] for result in results] == [0, 1, 2]
    assert results[0]["content"] == write(engine, prompt, max_tokens=12).text  # the likeliest one
    assert len({result["content"] for result in results}) == 3
    one = client.post("/infill", json=VSCODE | {"n_cmpl": 1}).json()
    assert one["content"] == results[0]["content"]
    assert one["generation_settings"]["n_ctx"] == 256
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/v1/models").json()["data"][0]["id"] == "tiny"
    assert client.get("/props").json()["default_generation_settings"]["n_ctx"] == 256


def test_unlimited_infilling_leaves_the_prompt_room(client, engine, asked):
    long = "x = 1\n" * 20
    result = client.post("/infill", json={"input_prefix": long, "input_suffix": "\ny", "n_predict": -1}).json()
    assert result["truncated"] is False
    longer = client.post("/infill", json={"input_prefix": long * 20, "input_suffix": "\ny", "n_predict": -1}).json()
    assert longer["truncated"] is True
    assert 64 <= longer["tokens_evaluated"] <= 128


def test_the_next_keystroke_reads_its_own_tokens(client):
    body = {"input_prefix": "x = 1\n" * 10, "input_suffix": "\nprint(x)\n", "n_predict": 4}
    client.post("/infill", json=body | {"prompt": "("})
    result = client.post("/infill", json=body | {"prompt": "(("}).json()
    assert result["timings"]["prompt_n"] <= 3


def test_indentation_ends_a_text(client, engine, asked):
    grammar = r'start: "a\n    b\n\n  c\n" /[d-z]{20}/'
    body = VIM | {"grammar": grammar, "prompt": "    ", "n_predict": 60, "response_fields": []}
    result = client.post("/infill", json=body).json()
    assert (result["content"], result["stop_type"]) == ("a\n    b", "limit")
    assert result["has_new_line"]
    whole = client.post("/infill", json=body | {"n_indent": 0}).json()
    assert whole["content"].startswith("a\n    b\n\n  c\n")
    assert whole["stop_type"] == "eos"
    parts = events(client.post("/infill", json=body | {"stream": True}))
    assert "".join(part["content"] for part in parts) == "a\n    b"


def events(answer):
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = answer.text.split("\n\n")
    assert found.pop() == ""
    return [json.loads(event.removeprefix("data: ")) for event in found]


def test_completion_as_continue_streams_it(client, engine):
    body = {  # Continue's core/llm/llms/LlamaCpp.ts
        "prompt": "def ",
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "stop": ["\n\n\n"],
        "n_predict": 20,
        "temperature": 0.0,
        "stream": True,
    }
    *parts, last = events(client.post("/completion", json=body))
    expected = write(engine, TextPrompt("def "), max_tokens=20).text
    assert "".join(part["content"] for part in (*parts, last)) == expected
    assert not any(part["stop"] for part in parts)
    assert (last["stop"], last["stop_type"], last["tokens_predicted"]) == (True, "limit", 20)
    assert "timings" in last


def test_a_clients_template_is_a_hole(client, qwen_client, asked):
    for path in ("/completion", "/completions", "/v1/completions"):
        client.post(path, json={"prompt": "<PRE> a <SUF>b <MID>", "n_predict": 2, "max_tokens": 2})
        qwen_client.post(path, json={"prompt": "<PRE> a <SUF>b <MID>", "n_predict": 2, "max_tokens": 2})
    prompts = [request.prompt for request in asked]
    assert prompts == [InfillPrompt("a", "b", window=True), TextPrompt("<PRE> a <SUF>b <MID>")] * 3


def test_a_stop_string_is_named(client, engine):
    text = write(engine, TextPrompt("def "), max_tokens=30).text
    stop = next(text[at : at + 2] for at in range(3, 28) if "\ufffd" not in text[at : at + 2])
    result = client.post("/completion", json={"prompt": "def ", "temperature": 0, "stop": ["never", stop]}).json()
    assert (result["content"], result["stop_type"]) == (text[: text.index(stop)], "word")
    assert result["stopping_word"] == stop


def test_grammars(client):
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    result = client.post("/completion", json={"prompt": "x", "json_schema": schema}).json()
    assert isinstance(json.loads(result["content"])["a"], bool)
    gbnf = client.post("/completion", json={"prompt": "x", "grammar": 'root ::= "yes" | "no"'}).json()
    assert gbnf["content"] in ("yes", "no")
    wrong = client.post("/completion", json={"prompt": "x", "grammar": "root ::= ("})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["message"].startswith("grammar must be a grammar in GBNF")


def test_tokens_and_back(client, engine):
    text = "def add(a): # für <PRE> ☺"
    ids = client.post("/tokenize", json={"content": text}).json()["tokens"]
    assert ids == engine.tokenizer.encode(text)
    special = client.post("/tokenize", json={"content": text, "add_special": True, "with_pieces": True}).json()[
        "tokens"
    ]
    assert [token["id"] for token in special] == [engine.tokenizer.bos_id, *ids]
    data = b"".join(
        token["piece"].encode() if isinstance(token["piece"], str) else bytes(token["piece"]) for token in special
    )
    assert data.decode() == " " + text
    assert client.post("/detokenize", json={"tokens": ids}).json() == {"content": text}
    assert client.post("/detokenize", json={"tokens": [-1]}).status_code == 400


@pytest.mark.parametrize("more", [{}, {"n_cmpl": 2}, {"stream": True}])
def test_the_next_key_cancels_the_text(engine, monkeypatch, more):
    step = Scheduler.step
    monkeypatch.setattr(Scheduler, "step", lambda self: time.sleep(0.02) or step(self))
    served = Served(Service(engine), "tiny")
    with on_a_port(build_app(served)) as url:
        asking = httpx.stream("POST", f"{url}/infill", json=LONG | more, timeout=0.2)
        with suppress(httpx.ReadTimeout), asking as answer:  # llama.vim kills curl
            next(answer.iter_bytes())  # of a stream, the first token
        ends = time.monotonic() + 10
        while served.service.totals.cancelled < more.get("n_cmpl", 1):
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert served.service.num_waiting == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input_extra": [{"text": 3}]}, "input_extra[0].text must be a string"),
        ({"input_prefix": None, "n_predict": "many"}, "n_predict must be a whole number"),
        ({"n_cmpl": 0}, "n_cmpl must be from 1 to 128"),
        ({"n_indent": -1}, "n_indent must be from 0"),
    ],
)
def test_errors(client, body, message):
    answer = client.post("/infill", json=VIM | body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(message)
    assert answer.json()["error"]["code"] == 400
