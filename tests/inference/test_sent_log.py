import json

import pytest

from chaku.errors import ChakuError
from chaku.inference.endpoint import Endpoint
from chaku.inference.generator import Request, SamplingParams, TextPrompt, answer_in_order
from chaku.inference.sent_log import SentLog
from endpoint_server import running_server


def test_every_request_is_in_the_file_as_the_server_got_it(tmp_path):
    path = tmp_path / "sent.jsonl"
    with running_server() as server:
        log = SentLog(Endpoint(server.url, "any"), path)
        params = SamplingParams(num_samples=3, temperature=0.5)
        completions = answer_in_order(log, [Request(TextPrompt("Größe 王"), params, sample) for sample in range(3)])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [completion.text.startswith("Größe 王/") for completion in completions] == [True] * 3
    assert sorted((line["prompt"], line["seed"]) for line in lines) == sorted(
        (request["prompt"], request["seed"]) for request in server.requests
    )
    assert {line["to"] for line in lines} == {f"{server.url}/completions"}
    assert path.stat().st_mode & 0o077 == 0


def test_a_log_goes_on_and_a_file_that_cannot_be_written_sends_nothing(tmp_path):
    path = tmp_path / "sent.jsonl"
    path.write_text("before\n")
    with running_server() as server:
        SentLog(Endpoint(server.url, "any"), path).answer([Request(TextPrompt("a"), SamplingParams())])
        with pytest.raises(ChakuError, match="cannot log what is sent"):
            SentLog(Endpoint(server.url, "any"), tmp_path)
        assert len(server.requests) == 1
    assert path.read_text().startswith('before\n{"time"')
