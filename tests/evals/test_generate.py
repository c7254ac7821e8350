"""Problems to samples: the prompt to the character, cut at its stops, nothing asked for twice."""

import json
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Benchmark, Task
from chaku.evals.generate import Sampling, generate_samples
from chaku.inference.engine import Engine
from chaku.inference.generator import InfillPrompt, TextPrompt
from chaku.inference.prompts import complete
from scripted_engine import ScriptedEngine

PROMPTS = ("def f(a):\n    ", "x = ", "for each in range(10):\n    print(each", "# five\n", "import ")


def little(**changes):
    tasks = [Task(f"t{number}", prompt) for number, prompt in enumerate(PROMPTS)]
    return replace(
        Benchmark("little", lambda path: tasks, "plain", None, stops=("\n",), max_tokens=12), **changes
    ), tasks


class Recorder(Engine):
    """The engine, with its requests written down; it stops as if killed after so many calls."""

    def __init__(self, engine, kill_after=None, batch_size=4):
        super().__init__(engine.model, engine.tokenizer, batch_size)
        self.kill_after, self.calls = kill_after, []

    def answer(self, requests):
        if len(self.calls) == self.kill_after:
            raise KeyboardInterrupt
        self.calls.append(requests)
        return super().answer(requests)


SAMPLING = Sampling(temperature=1.0, top_p=0.95, num_samples=2, seed=5)


def test_samples_are_what_the_engine_writes(engine, tmp_path):
    benchmark, tasks = little()
    recorder = Recorder(engine)
    samples, record = generate_samples(benchmark, tasks, recorder, SAMPLING, tmp_path)
    assert [(sample.task_id, sample.index) for sample in samples] == [(f"t{n}", i) for n in range(5) for i in range(2)]
    params = recorder.calls[0][0].params
    assert (params.temperature, params.top_p, params.num_samples, params.seed) == (1.0, 0.95, 2, 5)
    assert (params.stop, params.max_tokens) == (("\n",), 12)
    for number, prompt in enumerate(PROMPTS):
        alone = engine.generate([complete(engine.tokenizer, prompt)], params)[0]
        assert [sample.completion for sample in samples[2 * number : 2 * number + 2]] == [
            sample.text for sample in alone
        ]
    assert record["prompt_form"] == "plain"
    assert (record["stops"], record["seed"], record["num_samples"], record["max_tokens"]) == (["\n"], 5, 2, 12)
    assert {"model_sha256", "tokenizer_sha256"} <= record.keys()


def test_a_killed_generation_goes_on_with_what_is_missing(engine, tmp_path):
    benchmark, tasks = little()
    whole, _ = generate_samples(benchmark, tasks, Recorder(engine), SAMPLING, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        generate_samples(benchmark, tasks, Recorder(engine, kill_after=2), SAMPLING, tmp_path / "cut")
    path = tmp_path / "cut" / "completions.jsonl"
    assert len(path.read_text().splitlines()) == 8
    path.write_bytes(path.read_bytes()[:-20])  # the kill came within a line
    again = Recorder(engine)
    assert generate_samples(benchmark, tasks, again, SAMPLING, tmp_path / "cut")[0] == whole
    assert sum(map(len, again.calls)) == 3  # the cut line, and the task that was left
    third = Recorder(engine)
    assert generate_samples(benchmark, tasks, third, SAMPLING, tmp_path / "cut")[0] == whole
    assert third.calls == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.5}, "temperature was 1.0, is now 0.5"),
        ({"num_samples": 3}, "num_samples was 2, is now 3"),
        ({"seed": 6}, "seed was 5, is now 6"),
    ],
)
def test_completions_with_other_settings_are_not_mixed(engine, tmp_path, change, message):
    benchmark, tasks = little()
    generate_samples(benchmark, tasks, Recorder(engine), SAMPLING, tmp_path)
    with pytest.raises(ChakuError, match=f"made with other settings: {message}. Name a new directory"):
        generate_samples(benchmark, tasks, Recorder(engine), replace(SAMPLING, **change), tmp_path)
    with pytest.raises(ChakuError, match="prompt_form was 'plain', is now 'fancy'"):
        generate_samples(replace(benchmark, prompt_form="fancy"), tasks, Recorder(engine), SAMPLING, tmp_path)
    with pytest.raises(ChakuError, match="other settings: problems changed"):
        generate_samples(benchmark, tasks[1:], Recorder(engine), SAMPLING, tmp_path)


def test_a_suffix_is_asked_as_infilling_in_the_benchmarks_mode(engine, tmp_path):
    benchmark, _ = little(mode="spm", stops=())
    recorder = Recorder(engine)
    task = Task("hole", "def f(a):\n", suffix="\n    return a\n")
    _, record = generate_samples(benchmark, [task], recorder, Sampling(), tmp_path)
    assert [request.prompt for request in recorder.calls[0]] == [InfillPrompt(task.prompt, task.suffix, "spm")]
    assert record["mode"] == "spm"


def writes(engine, text):
    """An engine that always writes the same, whatever it is told to stop at."""
    return ScriptedEngine(engine, lambda request: text)


def test_what_is_generated_is_cut_as_the_benchmark_says(engine, tmp_path):
    benchmark, tasks = little(stops=("END", "\nq"))
    texts = {"a\nq b END": "a", "x END \nq": "x ", "whole": "whole"}
    for number, (text, expected) in enumerate(texts.items()):
        samples, _ = generate_samples(benchmark, tasks[:1], writes(engine, text), Sampling(), tmp_path / str(number))
        assert samples[0].completion == expected
    benchmark = replace(benchmark, cut=lambda task, text: text.upper() + task.task_id)
    samples, _ = generate_samples(benchmark, tasks[:1], writes(engine, "a END b"), Sampling(), tmp_path / "own")
    assert samples[0].completion == "A END Bt0"
    written = json.loads((tmp_path / "own" / "completions.jsonl").read_text())
    assert written == {"task_id": "t0", "index": 0, "completion": "A END Bt0"}


def test_a_short_context_leaves_half_for_the_prompt(engine, tmp_path):
    benchmark, tasks = little(max_tokens=100_000)
    _, record = generate_samples(benchmark, tasks, writes(engine, "x"), Sampling(), tmp_path)
    assert record["max_tokens"] == engine.model.config.max_position_embeddings // 2


def test_a_problem_without_a_prompt_is_not_asked(engine, tmp_path):
    benchmark, _ = little()
    with pytest.raises(ChakuError, match=r"little: the file of problems has no prompt \(plain\) for t9"):
        generate_samples(benchmark, [Task("t9", "")], writes(engine, "x"), Sampling(), tmp_path)


def test_a_limit_of_the_prompt_is_for_texts_that_are_completed(engine, tmp_path):
    benchmark, tasks = little()
    model = writes(engine, "x")
    generate_samples(benchmark, tasks[:1], model, Sampling(max_prompt_tokens=2), tmp_path / "text")
    assert model.requests[0].prompt == TextPrompt(PROMPTS[0], 2)
    hole = Task("hole", "def f(a):\n", suffix="\n    return a\n")
    with pytest.raises(ChakuError, match="little: --max-prompt-tokens works only for prompts to complete"):
        generate_samples(benchmark, [hole], model, Sampling(max_prompt_tokens=2), tmp_path / "hole")
