"""Mistral's API for infilling, asked with the body that Continue and minuet send."""

import json

from chaku.inference.generator import InfillPrompt, Request, SamplingParams

BODY = {
    "model": "codestral-latest",
    "prompt": "def add(a, b):\n    ",
    "suffix": "\n    return total\n",
    "max_tokens": 12,
    "temperature": 0.01,
    "stop": ["[PREFIX]", "[SUFFIX]"],
    "random_seed": 4,
    "stream": True,
}
PROMPT = InfillPrompt(BODY["prompt"], BODY["suffix"], window=True)


def test_a_stream(client, engine, asked):
    answer = client.post("/v1/fim/completions", json=BODY, headers={"Authorization": "Bearer x", "X-Api-Key": "x"})
    assert asked == [Request(PROMPT, SamplingParams(12, 0.01, stop=("[PREFIX]", "[SUFFIX]"), seed=4, healing=True))]
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    assert text == engine.answer(asked)[0].text
    assert choices[-1]["finish_reason"] == "length"


def test_a_whole_answer(client, engine, asked):
    answer = client.post("/v1/fim/completions", json=BODY | {"stream": False, "temperature": None}).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert (
        answer["choices"][0]["message"]["content"]
        == engine.answer([Request(PROMPT, SamplingParams(12, healing=True))])[0].text
    )
    assert answer["usage"]["completion_tokens"] == 12
    assert asked[0].params.temperature == 0


def test_errors(client):
    answer = client.post("/v1/fim/completions", json=BODY | {"prompt": None})
    assert answer.status_code == 400
    assert answer.json()["message"] == "prompt is missing; it must be a string"
    assert answer.json()["object"] == "error"
