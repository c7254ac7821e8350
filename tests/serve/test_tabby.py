"""Tabby's API, asked with the bodies that tabby-agent sends."""

from chaku.inference.generator import InfillPrompt, RepositoryFile, Request, SamplingParams, TextPrompt

BODY = {
    "language": "python",
    "segments": {
        "prefix": "def add(a, b):\n    ",
        "suffix": "\n    return total\n",
        "filepath": "src/shop.py",
        "git_url": "https://example.org/shop.git",
        "declarations": [{"filepath": "src/money.py", "body": "class Money: ..."}],
        "relevant_snippets_from_changed_files": [{"filepath": "src/a.py", "body": "A = 1", "score": 0.7}],
    },
    "user": "user@example.org",
}


def test_segments_are_a_hole_with_other_files(qwen_client, qwen, asked):
    answer = qwen_client.post("/v1/completions", json=BODY)
    others = (("src/money.py", "class Money: ..."), ("src/a.py", "A = 1"))
    file = RepositoryFile("https://example.org/shop.git", "src/shop.py", others)
    prompt = InfillPrompt(BODY["segments"]["prefix"], BODY["segments"]["suffix"], file=file, window=True)
    assert asked == [Request(prompt, SamplingParams(64, healing=True))]
    assert answer.json().keys() == {"id", "choices"}
    assert answer.json()["choices"] == [{"index": 0, "text": qwen.answer(asked)[0].text}]


def test_only_what_is_there(client, asked):
    assert client.post("/v1/completions", json={"segments": {"prefix": "def f"}}).status_code == 200
    assert asked[0].prompt == InfillPrompt("def f", "", window=True)
    assert asked[0].params.healing


def test_a_raw_prompt(client, asked):
    client.post("/v1/completions", json={"debug_options": {"raw_prompt": "<PRE> a <SUF>b <MID>"}})
    client.post("/v1/completions", json={"debug_options": {"raw_prompt": "a <MID>"}})
    assert [request.prompt for request in asked] == [InfillPrompt("a", "b", window=True), TextPrompt("a <MID>")]


def test_openais_body_at_the_same_path_is_openais(client):
    assert client.post("/v1/completions", json={"prompt": "a"}).json()["object"] == "text_completion"
    assert client.post("/v1/completions", json={"model": "tiny"}).json()["object"] == "text_completion"


def test_health_settings_and_events(client):
    for method in ("GET", "POST"):
        health = client.request(method, "/v1/health").json()
        assert (health["status"], health["model"], health["chat_model"], health["device"]) == (
            "ok",
            "tiny",
            None,
            "cpu",
        )
        assert health["version"].keys() == {"build_date", "build_timestamp", "git_sha", "git_describe"}
    assert client.get("/v1beta/server_setting").json() == {"disable_client_side_telemetry": True}
    event = {"type": "view", "completion_id": "cmpl-1", "choice_index": 0, "view_id": "view-1", "elapsed": 7}
    answer = client.post("/v1/events?select_kind=line", json=event)
    assert (answer.status_code, answer.text) == (200, "")


def test_errors(client):
    answer = client.post("/v1/completions", json={"segments": {"suffix": "x"}})
    assert answer.status_code == 400
    assert "segments.prefix is missing" in answer.text
