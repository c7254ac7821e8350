"""What the fields of every API make of sampling, and the defaults of each."""

import pytest

CHOSEN = {"top_k": 7, "min_p": 0.25, "presence_penalty": 0.5, "frequency_penalty": -0.5}
REPEATS = {"repeat_penalty": 1.25, "repeat_last_n": -1}
CHAT = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
BODIES = {
    "/v1/completions": {"prompt": "x", "max_tokens": 2},
    "/v1/chat/completions": CHAT,
    "/v1/fim/completions": {"prompt": "x", "max_tokens": 2},
    "/completion": {"prompt": "x", "n_predict": 2},
    "/infill": {"input_prefix": "x", "n_predict": 2},
    "/api/generate": {"model": "m", "prompt": "x", "stream": False},
    "/api/chat": CHAT | {"model": "m", "stream": False},
}
DEFAULTS = {"/completion": (40, 0.05), "/api/generate": (40, 0.0), "/api/chat": (40, 0.0)}


def send(client, path, options):
    """Ask with options where the API has them."""
    inner = {"options": options | {"num_predict": 2}} if path.startswith("/api/") else options
    return client.post(path, json=BODIES[path] | inner)


@pytest.mark.parametrize("path", BODIES)
def test_fields_and_defaults(qwen_client, asked, path):
    assert send(qwen_client, path, CHOSEN | REPEATS).status_code == 200
    params = asked.pop().params
    assert params.record().items() >= (CHOSEN | REPEATS).items()
    assert send(qwen_client, path, {"top_k": -1, "seed": 5}).status_code == 200
    assert asked.pop().params.top_k == 0
    assert send(qwen_client, path, {}).status_code == 200
    params = asked.pop().params
    assert (params.top_k, params.min_p) == DEFAULTS.get(path, (0, 0.0))
    assert (params.presence_penalty, params.frequency_penalty, params.repeat_penalty) == (0, 0, 1)


@pytest.mark.parametrize("path", ["/v1/completions", "/completion", "/api/generate"])
@pytest.mark.parametrize("wrong", [{"top_k": 1.5}, {"min_p": 2}, {"presence_penalty": "much"}, {"repeat_penalty": 0}])
def test_wrong_values_are_refused_by_name(qwen_client, path, wrong):
    answer = send(qwen_client, path, wrong)
    assert answer.status_code == 400
    assert f"{next(iter(wrong))} must be " in answer.text


def test_a_penalty_changes_a_greedy_text_and_llama_cpp_tells_its_settings(client):
    body = {"prompt": "def", "n_predict": 40, "temperature": 0}
    plain = client.post("/completion", json=body).json()
    other = client.post("/completion", json=body | {"frequency_penalty": 50}).json()
    assert other["content"] != plain["content"]
    assert other["generation_settings"]["frequency_penalty"] == 50
    assert plain["generation_settings"]["top_k"] == 40
