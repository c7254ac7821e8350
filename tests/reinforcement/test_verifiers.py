"""Rewards of one's own: a function in the sandbox, and a verifier behind HTTP."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from chaku.errors import ChakuError
from chaku.inference import post_json
from chaku.inference.prompts import Prompt
from chaku.reinforcement.rewards import Rewards
from chaku.reinforcement.tasks import Task
from chaku.reinforcement.verifiers import FunctionReward, HttpReward
from chaku.sandbox.probe import check_sandbox
from chaku.tokens.chat import Message

TASK = Task("1", (Message("user", "How long?"),), Prompt((1,)), {"wanted": 3})
FUNCTION = """
def reward(text, row):
    if text == "bad":
        raise ValueError("bad text")
    print("noise")
    return float("nan") if text == "nan" else len(text) / row["wanted"]
"""


@pytest.mark.skipif(bool(check_sandbox()), reason="programs cannot be isolated here")
def test_a_function_runs_in_the_sandbox(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FUNCTION)
    reward = FunctionReward(path, 2.0)
    try:
        waiting = [reward.submit(TASK, text) for text in ("abc", "abcabc", "", "bad", "nan")]
        judged = [wait() for wait in waiting]
    finally:
        reward.close()
    assert [one.value for one in judged] == [1.0, 2.0, 0.0, 0.0, 0.0]
    assert [one.solved for one in judged] == [True, True, False, False, False]
    assert "bad text" in judged[3].reason


def test_a_file_without_the_function_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def score(text):\n    return 1\n")
    with pytest.raises(ChakuError, match=r"has no function reward\(text, row\)"):
        FunctionReward(path, 1.0)
    path.write_text("def reward(:\n")
    with pytest.raises(ChakuError, match=r"line 1.*correct the function"):
        FunctionReward(path, 1.0)


class Verifier(BaseHTTPRequestHandler):
    fails = 0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if Verifier.fails:
            Verifier.fails -= 1
            self.send_error(503)
            return
        answer: object = {"reward": len(asked["text"]) / asked["row"]["wanted"]}
        if asked["text"] == "odd":
            answer = ["no reward"]
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url():
    server = HTTPServer(("127.0.0.1", 0), Verifier)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/verify"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_verifier_behind_http(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_json, "FIRST_WAIT", 0.01)
    reward = HttpReward(url, 5.0)
    try:
        Verifier.fails = 2
        assert reward.submit(TASK, "abc")().value == 1.0
        assert reward.submit(TASK, "a")().value == pytest.approx(1 / 3)
        with pytest.raises(ChakuError, match="must answer"):
            reward.submit(TASK, "odd")()
        Verifier.fails = 3
        with pytest.raises(ChakuError, match="did not answer 3 times"):
            reward.submit(TASK, "abc")()
    finally:
        Verifier.fails = 0
        reward.close()
    with pytest.raises(ChakuError, match="is not a URL"):
        HttpReward("localhost:9000", 1.0)


def test_rewards_are_weighted_and_equal_replies_are_judged_once(url: str) -> None:
    rewards = Rewards([("http", 0.5, HttpReward(url, 5.0)), ("more", 2.0, HttpReward(url, 5.0))])
    try:
        first, second = rewards.submit(TASK, "abc"), rewards.submit(TASK, "abc")
        assert first() == second()
        assert first().reward == pytest.approx(2.5)
        assert dict(first().parts) == {"http": 1.0, "more": 1.0}
        assert rewards.num_judged == 1
    finally:
        rewards.close()
