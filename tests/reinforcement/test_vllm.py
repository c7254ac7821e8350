"""Sampling by a vLLM server, played by a small server that speaks the same requests; no real vLLM was at hand."""

import dataclasses
import json
import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from chaku.errors import ChakuError
from chaku.inference import post_json
from chaku.inference.engine import Engine
from chaku.inference.generator import Request, SamplingParams, TokenPrompt
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, lora_layers
from chaku.reinforcement.batch import MOST_CORRECTION, pack
from chaku.reinforcement.rewards import Rewards
from chaku.reinforcement.rollouts import Rollouts
from chaku.reinforcement.vllm import VllmWriter
from chaku.training.trainer import train
from reinforcement.little_stage import GRPO, SEQUENCE, TRAINING, Letters, little_tokenizer, tasks

LORA = LoraConfig(rank=4, alpha=8)


class Server(BaseHTTPRequestHandler):
    """Has an engine; loads adapters by name. Its log-probabilities are `shift` nats too high."""

    engine: Engine
    model: Llama
    loaded: list[str] = []  # noqa: RUF012
    names: set[str] = set()  # noqa: RUF012
    shift = 0.1
    forgets_ids = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = getattr(self, self.path.rpartition("/")[2])(asked)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def load_lora_adapter(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if asked["lora_name"] in Server.names:
            return 400, "The lora adapter has already been loaded."
        from safetensors.torch import load_file

        tensors = load_file(Path(asked["lora_path"]) / "adapter_model.safetensors")
        for name, layer in lora_layers(Server.model):
            layer.lora_A.data = tensors[f"base_model.model.{name}.lora_A.weight"]
            layer.lora_B.data = tensors[f"base_model.model.{name}.lora_B.weight"]
        Server.engine.forget()
        Server.names.add(asked["lora_name"])
        Server.loaded.append(asked["lora_name"])
        return 200, "Success"

    def unload_lora_adapter(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if asked["lora_name"] not in Server.names:
            return 404, "The lora adapter cannot be found."
        Server.names.remove(asked["lora_name"])
        return 200, "Success"

    def completions(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if asked["model"] not in Server.names:
            return 404, "no such model"
        params = SamplingParams(max_tokens=asked["max_tokens"], temperature=asked["temperature"], seed=asked["seed"])
        prompt = TokenPrompt(tuple(asked["prompt"]))
        choices = []
        for number in range(asked["n"]):
            [made] = Server.engine.answer([Request(prompt, params, number)])
            [scores] = Server.engine.score([[*asked["prompt"], *made.ids]])
            logs = [float(value) + Server.shift for value in scores[len(asked["prompt"]) - 1 :]]
            choices.append(
                {"index": number, "text": made.text, "finish_reason": made.finish_reason,
                 "logprobs": {"token_logprobs": logs}, "token_ids": None if Server.forgets_ids else list(made.ids)}
            )  # fmt: skip
        return 200, {"choices": choices[::-1]}

    def log_message(self, *_: object) -> None:
        pass


def model_with_adapter() -> Llama:
    torch.manual_seed(3)
    model = Llama(dataclasses.replace(PRESETS["tiny"], vocab_size=little_tokenizer().vocab_size))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    add_lora(model, LORA, torch.Generator().manual_seed(1))
    return model


@pytest.fixture
def url() -> Iterator[str]:
    Server.model = model_with_adapter().eval()
    Server.engine = Engine(Server.model, little_tokenizer())
    Server.loaded, Server.names, Server.forgets_ids = [], set(), False

    class OneAtATime(ThreadingHTTPServer):
        def process_request(self, *arguments: Any) -> None:  # an engine is not for many threads
            self.process_request_thread(*arguments)

    server = OneAtATime(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_gets_the_new_weights_and_its_probabilities_are_corrected(url: str, tmp_path: Path) -> None:
    model = model_with_adapter()
    grpo = dataclasses.replace(GRPO, steps=2, rounds=1)
    batch = grpo.prompts * grpo.group_size * SEQUENCE
    training = dataclasses.replace(TRAINING, tokens=grpo.steps * batch, batch_tokens=batch, heldout_every=9)
    rollouts = Rollouts(
        model,
        VllmWriter(url, model, LORA, tmp_path, "base"),
        Rewards([("letters", 1.0, Letters())]),
        {"tasks": tasks(5)},
        {"tasks": 1.0},
        {},
        grpo,
        training,
        SEQUENCE,
        tmp_path,
        7,
    )
    train("rl", model, rollouts, training, tmp_path)
    assert Server.loaded == ["chaku-policy"] * 2  # before each step's samples
    groups = rollouts._journal.groups(1, rollouts._draws)
    packed = pack(groups, grpo, SEQUENCE, 1, {})
    assert packed.trained is not None
    assert packed.correction is not None
    factors = packed.correction[packed.trained]
    torch.testing.assert_close(factors, torch.full_like(factors, math.exp(-Server.shift)), atol=1e-3, rtol=0)
    Server.shift, groups = 0.1, groups
    far = [
        dataclasses.replace(
            group,
            drawn=dataclasses.replace(
                group.drawn,
                replies=tuple(
                    dataclasses.replace(reply, sampler_logs=tuple(value - 5 for value in reply.sampler_logs or ()))
                    for reply in group.drawn.replies
                ),
            ),
        )
        for group in groups
    ]
    correction = pack(far, grpo, SEQUENCE, 1, {}).correction
    assert correction is not None
    assert float(correction.max()) == MOST_CORRECTION


def test_what_a_server_lacks_is_named(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_json, "FIRST_WAIT", 0.001)
    writer = VllmWriter(url, model_with_adapter(), LORA, tmp_path, "base")
    write = writer.writing(num_samples=2, temperature=1.0, max_tokens=4, seed=1)
    Server.forgets_ids = True
    with pytest.raises(ChakuError, match="answers without token_ids"):
        list(write([(0, tasks(1)[0])]))
    away = VllmWriter("http://127.0.0.1:9", model_with_adapter(), LORA, tmp_path, "base")
    with pytest.raises(ChakuError, match="did not answer 8 times"):
        list(away.writing(num_samples=1, temperature=1.0, max_tokens=4, seed=1)([(0, tasks(1)[0])]))
    with pytest.raises(ChakuError, match="is not a URL"):
        VllmWriter("localhost:8000", model_with_adapter(), LORA, tmp_path, "base")
