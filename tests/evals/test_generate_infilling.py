"""Samples of holes and of long prompts, by a real engine: what the benchmark says of the prompt is what is asked."""

from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.humaneval_infilling import INFILLING
from chaku.evals.benchmarks.next_line import NEXT_LINE
from chaku.evals.generate import Sampling, generate_samples
from chaku.inference.endpoint import Endpoint
from chaku.inference.prompts import complete, infill

BY_NAME = {name.name: name for name in INFILLING}
HOLE = Task("1", "def value(total):\n    ret", suffix=" total\n")


@pytest.fixture
def asked(engine, monkeypatch):
    """What the engine reads, and with which settings it writes."""
    seen = []
    read = engine.read

    def record(request):
        seen.append((read(request), request.params))
        return seen[-1][0]

    monkeypatch.setattr(engine, "read", record)
    return seen


@pytest.mark.parametrize(
    ("name", "mode", "healing"),
    [
        ("humaneval-random-span-psm", "psm", False),
        ("humaneval-random-span-spm", "spm", False),
        ("humaneval-random-span-spm-healing", "spm", True),
    ],
)
def test_holes_are_asked_in_their_mode_and_healed_where_the_name_says_so(name, mode, healing, engine, asked, tmp_path):
    benchmark = replace(BY_NAME[name], max_tokens=8)
    [sample], record = generate_samples(benchmark, [HOLE], engine, Sampling(), tmp_path)
    prompt, params = asked[-1]
    assert prompt == infill(engine.tokenizer, HOLE.prompt, HOLE.suffix, mode=mode)
    assert params.healing == healing
    assert (record["mode"], record["healing"]) == (mode, healing)
    [[completion]] = engine.generate([prompt], params)
    assert sample.completion == completion.text


def test_a_long_prompt_is_asked_by_its_last_tokens(engine, asked, tmp_path):
    benchmark = replace(NEXT_LINE[0], max_tokens=4)
    task = Task("1", "value = 1\n" * 12, data={"answer": "x"})
    _, record = generate_samples(benchmark, [task], engine, Sampling(max_prompt_tokens=9), tmp_path)
    prompt, _ = asked[-1]
    whole = complete(engine.tokenizer, task.prompt)
    assert prompt.ids == (engine.tokenizer.bos_id, *whole.ids[-9:])
    assert prompt.tokens_cut == len(whole.ids) - len(prompt.ids)
    assert record["max_prompt_tokens"] == 9
    assert record["context"] == engine.context


def test_an_endpoint_cannot_heal_or_count_tokens(tmp_path):
    endpoint = Endpoint("http://localhost:1/v1", "model")
    for benchmark, sampling in (
        (BY_NAME["humaneval-random-span-spm-healing"], Sampling()),
        (NEXT_LINE[0], Sampling(max_prompt_tokens=9)),
    ):
        task = HOLE if benchmark.healing else replace(HOLE, suffix=None)
        with pytest.raises(ChakuError, match=f"{benchmark.name}: .*neither healed nor counted"):
            generate_samples(benchmark, [task], endpoint, sampling, tmp_path)
        assert not list(tmp_path.iterdir())
