"""Benchmarks asked in a chat: the message, the opened reply, endpoints, and scoring replies of others."""

import json

import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.evals.chat import in_chat
from chaku.evals.generate import Sampling, generate_samples
from chaku.evals.suite import BENCHMARKS, find_benchmark
from chaku.inference.endpoint import Endpoint
from chaku.inference.engine import Engine
from chaku.sandbox.probe import check_sandbox
from chaku.tokens.chat import Chat, Message
from endpoint_server import running_server
from scripted_engine import ScriptedEngine

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
TEMPLATE = (
    "{% for message in messages %}{{ bos_token }}{{ message.role }}\n{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ bos_token }}assistant\n{% endif %}"
)
# EvalPlus v0.3.1 on the first of the conftest's problems, to the character.
ASKED = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
    '```\ndef add(a, b):\n    """Return + of a and b."""\n```\n'
)
OPENING = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:\n"
    "```python\n"
)


def writes(engine, text, template=TEMPLATE):
    """A chat model that writes one text."""
    config = {**engine.tokenizer.config, "chat_template": template}
    tokenizer = type(engine.tokenizer)(engine.tokenizer.definition, config)
    return ScriptedEngine(Engine(engine.model, tokenizer), lambda request: text)


@pytest.fixture
def humaneval():
    return in_chat(BENCHMARKS["humaneval"], BENCHMARKS)


def test_a_model_reads_evalplus_message_and_goes_on_in_its_opened_reply(engine, humaneval, problems, tmp_path):
    tasks = humaneval.load(problems)
    assert tasks[0].prompt == ASKED
    model = writes(engine, "def add(a, b):\n    return a + b\n\nassert add(1, 1) == 3\n")
    samples, record = generate_samples(humaneval, tasks[:1], model, Sampling(), tmp_path)
    [request] = model.requests
    chat = Chat(model.tokenizer)
    prompt = model.read(request)
    assert list(prompt.ids) == chat.prompt([Message("user", ASKED)], OPENING)
    assert model.tokenizer.decode(prompt.ids).endswith(OPENING)
    assert request.params.stop == (
        *("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(", "\n```\n"),
    )
    assert prompt.stop_ids == {chat.end_id}
    assert request.params.temperature == 0
    assert humaneval.max_tokens == 768
    assert samples[0].completion == "def add(a, b):\n    return a + b\n"
    assert record["prompt_form"] == "chat: EvalPlus's instruction, and its beginning of the reply"
    assert record["opening"] == OPENING
    [row] = [json.loads(line) for line in (tmp_path / "completions.jsonl").read_text().splitlines()]
    assert row["reply"] == OPENING + model.write(request)


def test_a_model_without_a_template_cannot_be_asked(engine, humaneval, problems, tmp_path):
    with pytest.raises(ChakuError, match="humaneval: the checkpoint has no chat template"):
        generate_samples(humaneval, humaneval.load(problems), writes(engine, "", ""), Sampling(), tmp_path)


def test_the_opening_is_encoded_as_the_reply_that_it_begins(engine):
    chat = Chat(writes(engine, "").tokenizer)
    told = [Message("user", "hello")]
    assert chat.prompt(told, "Sure") == chat.reply(told, "Sure").ids[:-1]


def test_an_endpoint_is_sent_the_message_and_its_reply_is_not_opened(problems, tmp_path):
    benchmark = in_chat(BENCHMARKS["humaneval"], BENCHMARKS, endpoint=True)
    reply = "Sure:\n```python\ndef add(a, b):\n    return a + b\n```\nDone."
    with running_server() as server:
        server.answer = lambda request: {"choices": [{"message": {"content": reply}}]}
        source = Endpoint(server.url, "m", chat=True)
        samples, record = generate_samples(benchmark, benchmark.load(problems)[:1], source, Sampling(), tmp_path)
        [request] = server.requests
    content = ASKED.replace("```\ndef", "```python\ndef").rstrip("\n")
    assert request["messages"] == [{"role": "user", "content": content}]
    assert "stop" not in request
    assert samples[0].completion == "def add(a, b):\n    return a + b\n"
    assert record["prompt_form"].endswith("the reply not opened: an endpoint's cannot be")


def test_mbpp_is_asked_with_its_first_assert(tmp_path):
    row = {"task_id": 11, "text": "Add.", "code": "def add(a, b): return a + b", "test_list": ["assert add(1, 2) == 3"]}
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(row))
    [task] = in_chat(BENCHMARKS["mbpp"], BENCHMARKS).load(path)
    assert task.prompt == f'{ASKED.partition(chr(10))[0]}\n```\n"""\nAdd.\nassert add(1, 2) == 3\n"""\n```\n'


def test_what_is_not_asked_in_a_chat_is_refused():
    with pytest.raises(ChakuError, match=r"apps has no chat form; .*humaneval, .*multipl-e-cpp"):
        in_chat(find_benchmark("apps"), BENCHMARKS)


@sandboxed
def test_replies_of_others_are_scored_with_extract(problems, tmp_path, capsys):
    rows = [
        {"task_id": "Little/add", "completion": "Here:\n```python\ndef add(a, b):\n    return a + b\n```"},
        {"task_id": "Little/times", "solution": "def times(a, b):\n    return a * b"},
        {"task_id": "Little/plus", "reply": "```\n    return a - b\n```", "completion": "ignored"},
    ]
    path = tmp_path / "replies.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["eval", "score", "--benchmark", "humaneval", "--problems", str(problems), "--samples", str(path)]
    assert main([*command, "--extract", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["num_passed"], result["num_problems"], result["manifest"]["num_references"]) == (2, 3, 3)
    assert result["manifest"]["extracted"] is True
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["num_passed"], result["manifest"]["num_whole_programs"]) == (1, 1)


@sandboxed
def test_a_chat_run_from_the_command_line_is_scored_again_from_its_replies(
    engine, problems, tmp_path, capsys, monkeypatch
):
    model = writes(engine, "def add(a, b):\n    return a + b\n```")
    monkeypatch.setattr("chaku.evals.command._load", lambda name, *more: model)
    command = ["--benchmark", "humaneval", "--problems", str(problems), "--limit", "1", "--json"]
    assert main(["eval", "run", "m", "--chat", *command, "--out", str(tmp_path / "out")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pass_at_k"] == {"1": 1.0}
    again = ["eval", "score", "--extract", "--partial", *command[:4], "--json"]
    assert main([*again, "--samples", str(tmp_path / "out" / "completions.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["pass_at_k"] == {"1": 1.0}


def test_chat_is_not_for_held_out_measures(capsys):
    assert main(["eval", "run", "m", "--benchmark", "perplexity", "--chat"]) == 2
    assert "perplexity has no chat form" in capsys.readouterr().err
